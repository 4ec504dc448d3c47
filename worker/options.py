"""What the commands that run workers let people choose; nothing here needs Django to be set up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

STREAM_THREADS = 100
"""How many answers may last at the same time in one process, besides the consumers."""

STOP_TIMEOUT = 30.0
"""Seconds that what runs may take to end after the workers were told to stop."""


@dataclass(frozen=True)
class Options:
    """The options of ``channels-worker`` and ``manage.py runworker``, with their defaults.

    Arguments:
        layer: an alias in ``settings.CHANNEL_LAYERS``.
        threads: consumers that may run at the same time, in each process.
        processes: how many processes.
        only_channels, exclude_channels: globs, as for ``Worker``.
        stream_threads: answers that may last at the same time, in each process, besides the consumers.
        stop_timeout: seconds that what runs may take to end when the workers are stopped.
        verbosity: 2 logs each message.
    """

    layer: str = "default"
    threads: int = 1
    processes: int = 1
    only_channels: Sequence[str] = ()
    exclude_channels: Sequence[str] = ()
    stream_threads: int = STREAM_THREADS
    stop_timeout: float = STOP_TIMEOUT
    verbosity: int = 1


DEFAULTS = Options()
