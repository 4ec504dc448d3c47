"""The logger ``django.channels``, which every part of the project writes to.

Log lines carry what clients sent: paths, headers, messages. The filter here keeps such text from forging lines or
from steering a terminal, so no caller has to think of it.
"""

from __future__ import annotations

import logging
from typing import Any

__all__ = ["logger", "printable", "setup_logger"]


def printable(text: str) -> str:
    """``text`` with an escape in the place of each character that is not printable: ``\\n`` for a line feed."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


class _Printable:
    """An argument of a log call whose text is escaped when the line is formatted."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __str__(self) -> str:
        return printable(str(self._value))

    def __repr__(self) -> str:
        return printable(repr(self._value))


def _escape_arguments(record: logging.LogRecord) -> bool:
    # The template stays as it is: error trackers group lines by it.
    if isinstance(record.args, tuple):
        record.args = tuple(_escaped(argument) for argument in record.args)
    return True


def _escaped(argument: Any) -> Any:
    if isinstance(argument, str):
        return printable(argument)
    return argument if isinstance(argument, (int, float, type(None))) else _Printable(argument)


logger = logging.getLogger("django.channels")
logger.addFilter(_escape_arguments)


def setup_logger(verbosity: int = 1) -> logging.Logger:
    """Let the logger ``django.channels`` write to standard error, unless the project gave it handlers.

    Arguments:
        verbosity: 0 for errors only, 1 for what people should know, 2 and more for every message.
    """
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-8s %(message)s"))
        logger.addHandler(handler)
        logger.propagate = False
        logger.setLevel([logging.ERROR, logging.INFO][verbosity] if verbosity < 2 else logging.DEBUG)
    return logger
