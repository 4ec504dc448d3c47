"""The logger ``django.channels``, which every part of the project writes to.

Log lines contain data of clients: paths, headers, messages. The filter here stops such data from forging lines or
controlling a terminal, so callers need not care about this.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from channels_classic.log_context import current_client

__all__ = ["logger", "printable", "setup_logger"]


def printable(text: str) -> str:
    """``text`` with an escape for each character that is not printable: ``\\n`` for a line feed."""
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


NAME = "django.channels"

logger = logging.getLogger(NAME)
logger.addFilter(_escape_arguments)


class _LastResort(logging.StreamHandler[Any]):
    """Writes the records that no other handler writes to standard error.

    So a project's ``LOGGING`` decides wherever it has a handler, and no record is written twice. If ``LOGGING``
    only sends mail, errors are still seen.

    Arguments:
        of: the logger whose handler it is.
    """

    def __init__(self, of: logging.Logger) -> None:
        super().__init__()
        self._of = of

    def filter(self, record: logging.LogRecord) -> Any:
        """Whether no other handler writes ``record``."""
        return not any(
            record.levelno >= handler.level and handler.filter(record) for handler in self._other_writers()
        ) and super().filter(record)

    def format(self, record: logging.LogRecord) -> str:
        """The line with the id of its client: the one that it is about, or whose message a consumer handles."""
        line, client = super().format(record), getattr(record, "client", "-")
        if client == "-":
            client = current_client()
        if client == "-":
            return line
        first, end, rest = line.partition("\n")  # the other lines are a traceback
        return f"{first} [client {client}]{end}{rest}"

    def _other_writers(self) -> Iterator[logging.Handler]:
        current: logging.Logger | None = self._of
        while current is not None:
            for handler in current.handlers:
                if handler is not self and not _SILENT & {each.__name__ for each in type(handler).__mro__}:
                    yield handler
            current = current.parent if current.propagate else None


_SILENT = {"AdminEmailHandler", "SMTPHandler", "HTTPHandler", "NullHandler"}
"""The names of handlers that write nothing where the program runs. They are names, so that Django is not
imported."""


def setup_logger(name: str = NAME, verbosity: int = 1) -> logging.Logger:
    """Make the records of a logger visible where the project's ``LOGGING`` does not.

    The project's handlers get them in any case. A level that the project set for the logger is kept. A level for
    ``django`` or the root is kept too, unless ``verbosity`` asks for more or less than usual.

    Arguments:
        name: of the logger. Only ``django.channels`` escapes what is not printable.
        verbosity: 0 for errors only, 1 for warnings and important events, 2 and more for every message.
    """
    named = logging.getLogger(name)
    if not any(isinstance(handler, _LastResort) for handler in named.handlers):
        handler = _LastResort(named)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-8s %(message)s"))
        named.addHandler(handler)
    # "disable_existing_loggers" in a LOGGING is not meant for this logger.
    named.disabled = False
    if named.level == logging.NOTSET:
        if verbosity != 1:
            named.setLevel(logging.ERROR if verbosity < 1 else logging.DEBUG)
        elif not _has_chosen_level(named.parent):
            named.setLevel(logging.INFO)
    return named


def _has_chosen_level(parent: logging.Logger | None) -> bool:
    """Whether somebody has set the level of a logger. The root logger has a level before that."""
    if parent is None or parent.level == logging.NOTSET:
        return False
    return parent is not logging.root or bool(parent.handlers)
