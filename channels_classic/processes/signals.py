"""Signals in programs with several processes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import wait
from types import FrameType
from typing import Any

STOP = {signal.SIGTERM, signal.SIGINT}
RENEW = {signal.SIGHUP}
PASSED_ON = {signal.SIGINT, signal.SIGHUP}
"""Signals that a terminal sends to all processes at once. Only the supervisor acts on them."""

HURRY = signal.SIGUSR1
"""The signal by which a supervisor tells its processes to wait no longer. It ends a process without a handler."""

Handler = Callable[[int, FrameType | None], object]
"""A function that is called in the main thread when a signal has come."""


@contextmanager
def handled_signals(handlers: Mapping[signal.Signals, Handler]) -> Iterator[None]:
    """Let ``handlers`` handle these signals while the block runs. Only the main thread can do this."""
    former = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@contextmanager
def held_back(numbers: set[signal.Signals]) -> Iterator[None]:
    """Block these signals while the block runs. A process that is started meanwhile inherits this."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


@contextmanager
def received_signals(numbers: set[signal.Signals]) -> Iterator[int]:
    """Yields a file descriptor from which the numbers of received signals can be read, as bytes.

    A fork of the process, such as one that a consumer makes, gets its signals as if this did not exist.
    """
    readable, writable = os.pipe()
    os.set_blocking(readable, False)
    os.set_blocking(writable, False)
    former_handlers = {number: signal.getsignal(number) for number in numbers}
    former_descriptor = signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    _received.append(former_handlers)
    try:
        with handled_signals(dict.fromkeys(numbers, lambda *_: None)):
            yield readable
    finally:
        _received.pop()
        signal.set_wakeup_fd(former_descriptor)
        os.close(readable)
        os.close(writable)


_received: list[dict[signal.Signals, Any]] = []
"""The former handlers of the signals that ``received_signals`` receives."""

_forking = threading.local()


def _before_fork() -> None:
    # A signal to the child must wait until the child has left the pipe, which it shares with this process.
    numbers = {number for handlers in _received for number in handlers}
    _forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)


def _after_fork() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _forking.mask)


def _after_fork_in_child() -> None:
    if _received:
        signal.set_wakeup_fd(-1)
    while _received:
        for number, handler in _received.pop().items():
            signal.signal(number, handler)
    _after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)


@contextmanager
def signals_in_a_thread(handlers: Mapping[signal.Signals, Callable[[], object]]) -> Iterator[None]:
    """Call the handlers of signals in a thread of its own, while the block runs in the main thread.

    Python calls its signal handlers in the main thread, when that runs. If a signal comes just before the main
    thread begins to wait, for example for a lock, its handler is called only after the wait. This thread handles
    it at once.
    """
    ended, end = os.pipe()

    def follow(signals: int) -> None:
        while ended not in (ready := wait([signals, ended])):
            for number in os.read(signals, 1024) if signals in ready else ():
                if number in handlers:
                    handlers[signal.Signals(number)]()

    try:
        with received_signals(set(handlers)) as signals:
            thread = threading.Thread(target=follow, args=[signals], name="signals", daemon=True)
            thread.start()
            try:
                yield
            finally:
                os.write(end, b"\0")
                thread.join()
    finally:
        os.close(ended)
        os.close(end)
