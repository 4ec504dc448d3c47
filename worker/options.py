"""The options of the commands that run workers. Nothing here needs Django to be set up."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from channels_classic.monitoring.server import HELP as MONITOR_HELP
from channels_classic.tracing import HELP as TRACING_HELP

STREAM_THREADS = 100
"""How many streaming answers may run at the same time in one process, besides the consumers."""

CONCURRENCY = 100
"""How many asynchronous consumers may run at the same time in one process."""

STOP_TIMEOUT = 30.0
"""Seconds that consumers may take to finish after the workers were told to stop."""

PREFIX = "CHANNELS_WORKER"
"""The prefix of the environment variables."""

UNITS = {"K": 1024, "M": 1024**2, "G": 1024**3}

SMALLEST_MEMORY = 16 * UNITS["M"]
"""Bytes. Every worker process takes more, so a smaller limit would end each one after its first message."""


LONGEST_SECONDS = 365 * 24 * 3600.0
"""Seconds: a year. The system may not be able to wait for longer."""

TRUE, FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}


def _whole_number(text: str) -> int:
    if not re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", text):
        raise ValueError("a whole number")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not abs(seconds) <= LONGEST_SECONDS:
        raise ValueError("a number of seconds")
    return seconds


def _size(text: str) -> int:
    found = re.fullmatch(r"\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*([KMG])i?B?\s*", text, re.IGNORECASE)
    if found is None:
        raise ValueError("a size with its unit, as 512M or 2G")
    return int(float(found[1]) * UNITS[found[2].upper()])


def _yes_or_no(text: str) -> bool:
    if text.strip().lower() not in TRUE | FALSE:
        raise ValueError("true or false")
    return text.strip().lower() in TRUE


def mebibytes(size: int) -> str:
    """A text for a number of bytes."""
    return f"{size / UNITS['M']:.0f}M"


class BadOption(ValueError):
    """An option has a value that is not allowed. The text says what was expected and what came."""


def option(default: Any, read: Callable[[str], Any], help: str, **details: Any) -> Any:
    """Make a field of ``Options``.

    Arguments:
        read: converts a text to a value. Its error says what was expected.
        help: the help text.
        details: ``least``, the smallest value; ``metavar``, the name of the value in the help.
    """
    return dataclasses.field(default=default, metadata={"read": read, "help": help, **details})


@dataclass(frozen=True)
class Options:
    """The options of ``channels-worker`` and ``manage.py runworker``, with defaults and help texts.

    Raises:
        BadOption: a value is out of range, or two options do not go together.
    """

    layer: str = option("default", str, "The entry of CHANNEL_LAYERS to receive from.", metavar="ALIAS")
    threads: int = option(
        1, _whole_number, "How many consumers run at the same time, in each process.", least=1, metavar="NUMBER"
    )
    processes: int = option(
        1, _whole_number, "How many processes; SIGHUP renews them without interruption.", least=1, metavar="NUMBER"
    )
    only_channels: Sequence[str] = option(
        (),
        str.split,
        "Receive only on matching channels. Can be given several times.",
        metavar="GLOB",
    )
    exclude_channels: Sequence[str] = option(
        (), str.split, "Do not receive on matching channels. Can be given several times.", metavar="GLOB"
    )
    stream_threads: int = option(
        STREAM_THREADS,
        _whole_number,
        "How many streaming responses run at the same time, in each process, in addition to --threads.",
        least=1,
        metavar="NUMBER",
    )
    concurrency: int = option(
        CONCURRENCY,
        _whole_number,
        "How many asynchronous consumers run at the same time, in each process, in addition to --threads.",
        least=1,
        metavar="NUMBER",
    )
    stop_timeout: float = option(
        STOP_TIMEOUT,
        _seconds,
        "How long running consumers may take to finish when the worker stops.",
        least=0,
        metavar="SECONDS",
    )
    max_messages: int | None = option(
        None,
        _whole_number,
        "Replace a process after about this many messages.",
        least=1,
        metavar="NUMBER",
    )
    max_memory: int | None = option(
        None,
        _size,
        "Replace a process that uses about this much memory, such as 512M or 2G.",
        least=SMALLEST_MEMORY,
        shown=mebibytes,
        metavar="SIZE",
    )
    consumer_timeout: float | None = option(
        None,
        _seconds,
        "Log once what a consumer is doing when it has run for this long.",
        least=0.01,
        metavar="SECONDS",
    )
    consumer_timeout_retire: bool = option(
        False, _yes_or_no, "With --consumer-timeout: also replace the process that the consumer runs in."
    )
    monitor: str | None = option(None, str, MONITOR_HELP, metavar="WHERE")
    tracing: bool = option(False, _yes_or_no, TRACING_HELP)
    verbosity: int = 1
    """2 logs each message."""

    def __post_init__(self) -> None:
        for field in fields():
            value, least = getattr(self, field.name), field.metadata.get("least")
            if value is not None and least is not None and not value >= least:
                shown = field.metadata.get("shown", str)
                raise BadOption(f"{flag(field)} must be {shown(least)} or more, not {shown(value)}.")
        if self.consumer_timeout_retire and self.consumer_timeout is None:
            raise BadOption("--consumer-timeout-retire needs --consumer-timeout SECONDS.")

    @property
    def retires(self) -> bool:
        """Whether a process may ask to be replaced, and so needs a supervisor."""
        return self.max_messages is not None or self.max_memory is not None or self.consumer_timeout_retire


def fields() -> Iterator[dataclasses.Field[Any]]:
    """The fields of ``Options`` that the commands have as options."""
    return (field for field in dataclasses.fields(Options) if "help" in field.metadata)


def flag(field: dataclasses.Field[Any]) -> str:
    """The option of a field on the command line."""
    return f"--{field.name.replace('_', '-')}"


def variable(field: dataclasses.Field[Any]) -> str:
    """The environment variable for the option of a field."""
    return f"{PREFIX}_{field.name.upper()}"


def options_from(
    values: Mapping[str, Any], environment: Mapping[str, str] = MappingProxyType({}), verbosity: int = 1
) -> Options:
    """Make the options of a command.

    Arguments:
        values: by the names of the fields: texts, values as ``Options`` has them, or ``None`` for what was not
            given.
        environment: the environment variables, for options that were not given.

    Raises:
        BadOption: a text cannot be converted, or a value is out of range.
    """
    given: dict[str, Any] = {"verbosity": verbosity}
    for field in fields():
        value, name = values.get(field.name), flag(field)
        if value is None:
            value, name = environment.get(variable(field)) or None, variable(field)
        if isinstance(value, str):
            try:
                value = field.metadata["read"](value)
            except ValueError as error:
                raise BadOption(f"{name} must be {error}, not {value!r}.") from None
        if value is not None:
            given[field.name] = value
    return Options(**given)
