"""The logger ``django.channels``, which every part of the project writes to.

Log lines carry what clients sent: paths, headers, messages. The filter here keeps such text from forging lines or
from steering a terminal, so no caller has to think of it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
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


class _LastResort(logging.StreamHandler[Any]):
    """Writes to standard error what no other handler writes.

    So a project's ``LOGGING`` decides, as far as it says anything; nothing is written twice, and an error in a
    production whose ``LOGGING`` has only mail is seen all the same.
    """

    def filter(self, record: logging.LogRecord) -> Any:
        """Whether nobody else writes ``record``."""
        return not any(
            record.levelno >= handler.level and handler.filter(record) for handler in self._other_writers()
        ) and super().filter(record)

    def _other_writers(self) -> Iterator[logging.Handler]:
        current: logging.Logger | None = logger
        while current is not None:
            for handler in current.handlers:
                if handler is not self and not _SILENT & {each.__name__ for each in type(handler).__mro__}:
                    yield handler
            current = current.parent if current.propagate else None


_SILENT = {"AdminEmailHandler", "SMTPHandler", "HTTPHandler", "NullHandler"}
"""Handlers that write nothing where the program runs, by name: this module does without Django."""


def setup_logger(verbosity: int = 1) -> logging.Logger:
    """Let the lines of ``django.channels`` be seen, as far as the project's ``LOGGING`` does not see to that.

    They go to the project's handlers in any case. A level that the project set for ``django.channels`` stays; so
    does one for ``django`` or the root, unless ``verbosity`` asks for more or less than usual.

    Arguments:
        verbosity: 0 for errors only, 1 for what people should know, 2 and more for every message.
    """
    if not any(isinstance(handler, _LastResort) for handler in logger.handlers):
        handler = _LastResort()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-8s %(message)s"))
        logger.addHandler(handler)
    if logger.level == logging.NOTSET:
        if verbosity != 1:
            logger.setLevel(logging.ERROR if verbosity < 1 else logging.DEBUG)
        elif logger.parent is None or logger.parent.level == logging.NOTSET:  # nobody configured anything
            logger.setLevel(logging.INFO)
    return logger
