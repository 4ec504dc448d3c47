"""Signals, as programs with several processes use them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

STOP = {signal.SIGTERM, signal.SIGINT}
RENEW = {signal.SIGHUP}
PASSED_ON = {signal.SIGINT, signal.SIGHUP}
"""What a terminal sends to all processes at once, but only the supervisor is meant to act on."""

HURRY = signal.SIGUSR1
"""How the supervisor tells its processes not to wait any longer; one that does not handle it ends by it."""

Handler = Callable[[int, FrameType | None], object]
"""What is called, in the main thread, when a signal has come."""


@contextmanager
def handled_signals(handlers: Mapping[signal.Signals, Handler]) -> Iterator[None]:
    """Let ``handlers`` handle these signals while the block runs; only the main thread can do this."""
    former = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@contextmanager
def held_back(numbers: set[signal.Signals]) -> Iterator[None]:
    """Let these signals wait; a process that is started meanwhile lets them wait until it says otherwise."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


@contextmanager
def received_signals(numbers: set[signal.Signals]) -> Iterator[int]:
    """A file descriptor from which the numbers of these signals can be read, as bytes, when they have come."""
    readable, writable = os.pipe()
    os.set_blocking(readable, False)
    os.set_blocking(writable, False)
    former_descriptor = signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    try:
        with handled_signals(dict.fromkeys(numbers, lambda *_: None)):
            yield readable
    finally:
        signal.set_wakeup_fd(former_descriptor)
        os.close(readable)
        os.close(writable)
