"""The heartbeat of a worker process: tells the layer that it is alive, and sweeps dead processes."""

from __future__ import annotations

import math
import os
import platform
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from channels_classic.counters import counters
from channels_classic.layers import BaseChannelLayer, LayerUnavailable, Lease, Process, Swept
from channels_classic.layers.names import random_part
from channels_classic.layers.tracking import BEAT_SECONDS
from channels_classic.log import logger
from channels_classic.processes.journal import is_elsewhere, read_journal, remove_journal
from channels_classic.redaction import one_line
from channels_classic.version import __version__

MARGIN = 0.25
"""A process counts its life as over so many seconds early, because clocks do not run equally fast."""

Describe = Callable[[str, dict[str, Any]], str]
"""Makes a text about a message, for the log, from its channel and its content."""


def channel_and_path(channel: str, content: dict[str, Any]) -> str:
    """A text about a message, for the log: its channel, and its path if it has one."""
    path = content.get("path")
    return f"{channel} {path}" if path and isinstance(path, str) else channel


def new_process(kind: str, **details: Any) -> Process:
    """Describe this process, under a new name, for the registry of a channel layer.

    Arguments:
        kind: ``worker`` or ``interface``.
        details: more of ``Process.details``.
    """
    own = {
        "kind": kind,
        "host": socket.gethostname(),
        "host_id": _host_id(),
        "pid": os.getpid(),
        "started": time.time(),
        "version": __version__,
    }
    return Process(f"{kind}.{random_part()}", {**own, **details})


def with_numbers(process: Process, **more: Any) -> Process:
    """The process with its counters in ``details["numbers"]``, and more details, for readers of the registry."""
    return process._replace(details={**process.details, "numbers": counters.summary(), **more})


def _host_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return platform.node()


class Heartbeat:
    """Sends the heartbeats of one process, in a thread of its own, and sweeps dead processes.

    Arguments:
        layer: the channel layer with the registry.
        process: the process. The first heartbeat registers it.
        on_lapse: gives the process another name after it was declared dead. What it took under the former name has
            to be dropped.
        leases: gives the leases of running turns; called for each heartbeat.
        describe: makes a text about a lost message, for the log.
        registered: called once with the process, when it is in the registry.
        more: gives more details of the process; called for each heartbeat.
    """

    def __init__(
        self,
        layer: BaseChannelLayer,
        process: Process,
        on_lapse: Callable[[], Process],
        leases: Callable[[], Sequence[Lease]] = tuple,
        describe: Describe = channel_and_path,
        registered: Callable[[Process], None] = lambda process: None,
        more: Callable[[], dict[str, Any]] = dict,
    ) -> None:
        self._layer = layer
        self._on_lapse = on_lapse
        self._leases = leases
        self._registered: Callable[[Process], None] | None = registered
        self._more = more
        self._sweeper = Sweeper(layer, describe)
        self._absence = Absence(lambda: layer.life)
        self._seen_dead: set[str] = set()
        """The processes that were dead at the last heartbeat."""
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self.process = process
        """The process under its present name."""
        self.valid_until = 0.0
        """The time, by ``time.monotonic``, until which nobody can have declared it dead."""

    def start(self) -> None:
        """Start to send heartbeats."""
        self.thread.start()

    def stop(self, timeout: float | None = None, departs: bool = True) -> bool:
        """End, and remove the process from the registry. Its threads take and send nothing any more.

        Arguments:
            timeout: seconds to wait for a heartbeat that is under way.
            departs: whether to remove it. If it still has messages, a sweep has to give them to others.

        Returns:
            Whether the process has left the registry. If not, others sweep it after its last heartbeat.
        """
        self._stopping.set()
        if self.thread.is_alive():
            self.thread.join(timeout)
            if self.thread.is_alive():
                return False
        if not departs:
            return False
        if self.valid_until:
            try:
                self._layer.depart(self.process)
            except LayerUnavailable:
                return False
        return True

    def confirm(self, name: str) -> None:
        """Send a heartbeat now, if the process still has the name that the caller knows.

        Raises:
            LayerUnavailable: the layer does not answer.
        """
        with self._lock:
            if self.process.name == name:
                self._beat()

    def _run(self) -> None:
        while not self._stopping.wait(BEAT_SECONDS):
            try:
                with self._lock:
                    self._beat()
                if self._registered is not None:
                    self._registered(self.process)
                    self._registered = None
            except LayerUnavailable:
                pass  # the workers log it
            except Exception as error:
                logger.exception("A heartbeat failed: %s", one_line(error))

    def _beat(self) -> None:
        since = time.monotonic()
        beat = self._layer.beat(with_numbers(self.process, **self._more()), self._leases())
        if beat.lapsed:
            former = self.process
            self.process = self._on_lapse()
            logger.error(
                "%s was declared dead, because its heartbeat had stopped for too long. It drops what it had taken "
                "and goes on as %s. Was it stopped, or the machine asleep?",
                former.name,
                self.process.name,
            )
            since = time.monotonic()
            beat = self._layer.beat(with_numbers(self.process))
        self.valid_until = since + self._layer.life - MARGIN
        if self._absence.can_judge(time.monotonic()):
            for process in beat.dead:
                # Who can read its journal comes first, and can tell what it had started.
                if process.name in self._seen_dead or not is_elsewhere(process):
                    self._sweeper.begin(process)
            self._seen_dead = {process.name for process in beat.dead}


class Absence:
    """Knows whether this process itself was away, so that it cannot yet judge which processes are dead.

    After an outage of the layer, no process has sent heartbeats for a while. The first process that is back would
    take all others for dead. So it gives them the time of one life to come back.

    Arguments:
        life: gives the seconds without a heartbeat after which a process is dead.
    """

    def __init__(self, life: Callable[[], float]) -> None:
        self._life = life
        self._last = -math.inf
        self._judges_from = math.inf

    def can_judge(self, now: float) -> bool:
        """Note an answered heartbeat. Returns whether processes that seem dead can be taken for dead."""
        life = self._life()
        # The last heartbeats of the others before the outage may have been a little earlier.
        if now - self._last > life - 2 * min(BEAT_SECONDS, life / 4):
            self._judges_from = now + life
        self._last = now
        return now >= self._judges_from


class Sweeper:
    """Sweeps dead processes, each in a thread of its own, so that a long sweep does not stop the heartbeat.

    Arguments:
        layer: the channel layer.
        describe: makes a text about a lost message, for the log.
    """

    def __init__(self, layer: BaseChannelLayer, describe: Describe = channel_and_path) -> None:
        self._layer = layer
        self._describe = describe
        self._under_way: set[str] = set()

    def begin(self, process: Process) -> None:
        """Start to sweep a process, unless its sweep is under way."""
        if process.name not in self._under_way:
            self._under_way.add(process.name)
            try:
                threading.Thread(target=self._run, args=[process], name="sweep", daemon=True).start()
            except RuntimeError:  # the system has no room for another thread; the next heartbeat tries again
                self._under_way.discard(process.name)
                raise

    def _run(self, process: Process) -> None:
        try:
            self.sweep(process)
        except LayerUnavailable:
            pass  # the next heartbeat tries again
        except Exception as error:
            logger.exception("%s could not be swept: %s", process.name, one_line(error))
        finally:
            self._under_way.discard(process.name)

    def sweep(self, process: Process) -> Swept | None:
        """Sweep a dead process, and log the result.

        Returns:
            The result; ``None`` if another process sweeps it.

        Raises:
            LayerUnavailable: the layer does not answer.
        """
        swept = self._layer.sweep(process, read_journal)
        if swept is not None:
            remove_journal(process)
            _count(swept)
            logger.error("%s", self._text(process, swept))
        return swept

    def _text(self, process: Process, swept: Swept) -> str:
        details: Mapping[str, Any] = process.details
        counts = {
            "messages given back that it had not started": swept.back,
            "messages to be run again": swept.again,
            "messages kept as dead letters": swept.dead_letters,
            "sockets disconnected": swept.goodbyes,
        }
        done = [f"{count} {what}" for what, count in counts.items() if count]
        if swept.lost:
            done.append(f"lost while they ran: {', '.join(self._describe(*lost) for lost in swept.lost)}")
        where = f"process {details.get('pid')} on {details.get('host')}"
        return f"{process.name} ({where}) has died: {'; '.join(done) or 'it had no messages in hand'}."


def _count(swept: Swept) -> None:
    counters.swept += 1
    counters.redelivered += swept.back + swept.again
    counters.lost += len(swept.lost)
    counters.dead_letters += swept.dead_letters
