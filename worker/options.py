"""The options of the commands that run workers; nothing here needs Django to be set up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

STREAM_THREADS = 100
"""How many answers may last at the same time in one process, besides the consumers."""

STOP_TIMEOUT = 30.0
"""Seconds that what runs may take to end after the workers were told to stop."""


def option(default: Any, help: str) -> Any:
    """A field that is an option, with what ``--help`` says about it in both commands."""
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class Options:
    """The options of ``channels-worker`` and ``manage.py runworker``, with their defaults and their help.

    Arguments:
        layer: an alias in ``settings.CHANNEL_LAYERS``.
        threads: consumers that may run at the same time, in each process.
        processes: how many processes.
        only_channels, exclude_channels: globs, as for ``Worker``.
        stream_threads: answers that may last at the same time, in each process, besides the consumers.
        stop_timeout: seconds that what runs may take to end when the workers are stopped.
        verbosity: 2 logs each message.
    """

    layer: str = option("default", "Which of CHANNEL_LAYERS to receive from.")
    threads: int = option(1, "Consumers that run at the same time, in each process.")
    processes: int = option(1, "How many processes; SIGHUP renews several of them without a gap.")
    only_channels: Sequence[str] = option(
        (), "Receive on the channels that match, and no others. Can be given several times."
    )
    exclude_channels: Sequence[str] = option(
        (), "Do not receive on the channels that match. Can be given several times."
    )
    stream_threads: int = option(
        STREAM_THREADS, "Streaming answers at the same time, in each process, besides the consumers."
    )
    stop_timeout: float = option(
        STOP_TIMEOUT, "Seconds that consumers may take to finish when the workers are stopped."
    )
    verbosity: int = 1


DEFAULTS = Options()
HELP: dict[str, str] = {
    field.name: field.metadata["help"] for field in fields(Options) if "help" in field.metadata
}
