"""The registry of processes in memory: which are alive, and which sockets and streaming answers each has."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from channels_classic.layers.exceptions import Lapsed
from channels_classic.layers.tracking import GONE_SECONDS
from channels_classic.layers.types import Beat, Client, Process


class Socket(NamedTuple):
    """A socket, with the order of its last message, and its will."""

    order: int
    will: bytes | None


class _State:
    """The state of a process."""

    def __init__(self) -> None:
        self.process: Process | None = None
        self.beaten = 0.0
        self.sockets: dict[str, Socket] = {}
        self.answers: dict[str, None] = {}


class Processes:
    """The registry. It is used under the layer's lock.

    Arguments:
        life: gives the seconds without a heartbeat after which a process is dead.
    """

    def __init__(self, life: Callable[[], float]) -> None:
        self._life = life
        self._states: dict[str, _State] = {}
        self._known: set[str] = set()
        self._gone: dict[str, float] = {}

    def beat(self, process: Process, now: float) -> Beat:
        """Note a heartbeat. Returns whether the process was declared dead before, and which processes are dead."""
        state = self._states.get(process.name)
        if state is None or state.process is None:
            if process.name in self._known:
                return Beat(True, self._dead(now))
            self._known.add(process.name)
        state = self._state(process.name)
        state.process, state.beaten = process, now
        return Beat(False, self._dead(now))

    def _dead(self, now: float) -> list[Process]:
        return [
            state.process
            for state in self._states.values()
            if state.process is not None and state.beaten + self._life() < now
        ]

    def has(self, name: str) -> bool:
        """Whether a process is in the registry, or has sockets."""
        return name in self._states

    def has_lapsed(self, name: str) -> bool:
        """Whether a process that has sent heartbeats was declared dead."""
        return name in self._known and name not in self._states

    def check(self, name: str) -> None:
        """Check that a process was not declared dead.

        Raises:
            Lapsed: it was.
        """
        if self.has_lapsed(name):
            raise Lapsed(name)

    def remove(self, name: str) -> tuple[dict[str, Socket], list[str]]:
        """Remove a process. Returns its sockets and its streaming answers."""
        self._gone[name] = time.monotonic()
        state = self._states.pop(name, None) or _State()
        return state.sockets, list(state.answers)

    def is_gone(self, name: str) -> bool:
        """Whether a process was removed within the last minute."""
        return name in self._gone

    def alive(self, now: float) -> list[Process]:
        """The processes that are alive."""
        return [
            state.process
            for state in self._states.values()
            if state.process is not None and state.beaten + self._life() >= now
        ]

    def note(self, client: Client) -> None:
        """Store what a message says about its socket."""
        name = client.channel.partition("!")[0]
        if self.has_lapsed(name):
            return
        sockets = self._state(name).sockets
        if client.order is None:
            sockets.pop(client.channel, None)
        else:
            known = sockets.get(client.channel)
            will = client.will if client.will is not None or known is None else known.will
            sockets[client.channel] = Socket(client.order, will)

    def sockets(self, name: str) -> list[str]:
        """The reply channels of the sockets of a process."""
        state = self._states.get(name)
        return list(state.sockets) if state else []

    def open_answer(self, name: str, reply_channel: str) -> None:
        """Note that a process begins a streaming answer."""
        if not self.has_lapsed(name):
            self._state(name).answers[reply_channel] = None

    def close_answer(self, name: str, reply_channel: str) -> None:
        """Note that a process has ended a streaming answer."""
        if name in self._states:
            self._states[name].answers.pop(reply_channel, None)

    def forget(self, now: float) -> None:
        """Forget processes that ended long ago."""
        for name in [name for name, since in self._gone.items() if since + GONE_SECONDS < now]:
            del self._gone[name]

    def clear(self) -> None:
        """Drop all. A process is registered again with its next heartbeat."""
        self._states.clear()
        self._known.clear()
        self._gone.clear()

    def _state(self, name: str) -> _State:
        return self._states.setdefault(name, _State())
