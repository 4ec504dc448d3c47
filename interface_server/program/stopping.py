"""Stops a process: properly at the first signal, at once at the second one, and in time in any case."""

from __future__ import annotations

import multiprocessing
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from channels_classic.log import logger
from channels_classic.processes.signals import HURRY, STOP, handled_signals

Wish = Literal["stop", "hurry", "never mind"]


@contextmanager
def ending_in_time(
    stop: Callable[[], None],
    running: Callable[[], str],
    timeout: float,
    clean_up: Callable[[], None] = lambda: None,
) -> Iterator[None]:
    """Make SIGTERM and SIGINT end this process, whatever its other threads do.

    A second signal, or the end of ``timeout``, ends it with status 1 and one line in the log. Outside the main
    thread, which gets all signals, this does nothing.

    Arguments:
        stop: called at the first signal. The block has to end soon afterwards.
        running: gives a short text about what still runs, or an empty one. It is called in another thread.
        timeout: seconds from the first signal to the end of the block.
        clean_up: called before the process ends early.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # This is not an event: a handler may interrupt the thread that waits for an event, and would then wait for its
    # lock.
    wishes: queue.SimpleQueue[Wish] = queue.SimpleQueue()
    # A service manager may signal both a supervisor and its processes. Only the supervisor counts its signals, and
    # passes a second one on as HURRY.
    is_child = multiprocessing.parent_process() is not None
    numbers = [*STOP, *([HURRY] if is_child else [])]
    told = False

    def handle(number: int, frame: object) -> None:
        nonlocal told
        if not told:
            wishes.put("stop")
        if number == HURRY or (told and not is_child):
            wishes.put("hurry")
        told = True

    def watch() -> None:
        if wishes.get() != "stop":
            return
        stop()
        try:
            wish = wishes.get(timeout=timeout)
        except queue.Empty:
            _end(f"It did not stop within {timeout:g} s", running(), clean_up)
        else:
            if wish == "hurry":
                _end("Told to stop again", running(), clean_up)

    watcher = threading.Thread(target=watch, name="stopping", daemon=True)
    watcher.start()
    with handled_signals(dict.fromkeys(numbers, handle)):
        try:
            yield
        finally:
            wishes.put("never mind")
            watcher.join()


def _end(reason: str, running: str, clean_up: Callable[[], None]) -> None:
    """End the process at once, because nothing else ends threads that never return."""
    logger.error("%s. Not finished: %s.", reason, running or "nothing that is known")
    clean_up()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass  # nobody reads the output any more
    os._exit(1)
