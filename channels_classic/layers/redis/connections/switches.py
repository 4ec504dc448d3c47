"""``Switches``: learns from Redis Sentinel that another server has become the master of a service.

The old master may answer for some more seconds, and what is written to it then is lost. So a process leaves it as
soon as any sentinel announces the switch, and does not wait for an error.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import redis

from channels_classic.backoff import Backoff
from channels_classic.layers.redis.connections.private import shut_down
from channels_classic.log import logger

Place = tuple[str, int]
"""The host and the port of a server."""

SELECTED, PROMOTED, SWITCHED = b"+selected-slave", b"+promoted-slave", b"+switch-master"
"""The channels on which sentinels announce a switch, in this order. The first two announcements come from the
sentinel that makes the switch: a tenth of a second before the replica becomes the master, and when it has become
that. Then this sentinel handles the other replicas."""

RECENT_SECONDS = 10.0
"""Seconds for which the announcement of one sentinel overrides the answers of others, which may not know it
yet."""


class Follower(Protocol):
    """A pool of connections to the master of a service."""

    service_name: str

    def leave_all_but(self, master: Place, at_once: bool) -> None:
        """Stop using the connections that lead elsewhere. It is called in a thread of its own.

        Arguments:
            at_once: whether to close those in use, too; otherwise they get their answers first.
        """


class Switches:
    """Subscribes to all sentinels, in a thread for each, while there are followers.

    Each sentinel has its own thread, so that one that hangs or is away does not keep this process from hearing the
    others. A thread that waits costs nothing.

    Arguments:
        sentinels: the host and the port of each sentinel.
        keywords: for redis-py's clients of the sentinels.
    """

    def __init__(self, sentinels: Sequence[Place], keywords: dict[str, Any]) -> None:
        self._sentinels = sentinels
        self._keywords = keywords
        self._lock = threading.Lock()
        self._followers: weakref.WeakSet[Any] = weakref.WeakSet()
        self._subscriptions: list[_Subscription] = []
        self._process = os.getpid()
        self._recent: dict[str, tuple[Place, float]] = {}

    def follow(self, follower: Follower) -> None:
        """Tell a pool about switches from now on."""
        if follower in self._followers and self._process == os.getpid():
            return
        with self._lock:
            if self._process != os.getpid():
                # Threads do not survive a fork, and the connections belong to the parent.
                self._subscriptions, self._process = [], os.getpid()
            self._followers.add(follower)
            if not self._subscriptions:
                self._subscriptions = [
                    _Subscription(place, self._keywords, self._heard) for place in self._sentinels
                ]
                for subscription in self._subscriptions:
                    subscription.start()

    def leave(self, follower: Follower) -> None:
        """Stop telling a pool about switches."""
        with self._lock:
            self._followers.discard(follower)
            if not self._followers:
                for subscription in self._subscriptions:
                    subscription.end()
                self._subscriptions = []

    def recent(self, service: str) -> Place | None:
        """The address of a service's master, if there was a switch within the last moments."""
        place, until = self._recent.get(service, (None, 0.0))
        return place if time.monotonic() < until else None

    def doubt(self, service: str) -> None:
        """Let the sentinels be asked again, because the master cannot be reached at its address."""
        self._recent.pop(service, None)

    def _heard(self, service: str, master: Place, is_over: bool) -> None:
        is_first = self.recent(service) != master
        self._recent[service] = master, time.monotonic() + RECENT_SECONDS
        with self._lock:
            followers = [one for one in self._followers if one.service_name == service]
        if followers and is_first:
            logger.warning("Redis Sentinel: %r moves to %s:%d.", service, *master)
        for follower in followers:
            follower.leave_all_but(master, at_once=is_over)


class _Subscription(threading.Thread):
    """Listens to one sentinel, and reconnects if that goes away.

    Arguments:
        place: the host and the port of the sentinel.
        keywords: for redis-py's client.
        heard: called with the name of a service, the place of its new master, and whether that already is the
            master.
    """

    def __init__(self, place: Place, keywords: dict[str, Any], heard: Callable[[str, Place, bool], None]) -> None:
        super().__init__(name=f"sentinel {place[0]}:{place[1]}", daemon=True)
        self._keywords = {**keywords, "host": place[0], "port": place[1], "decode_responses": False}
        self._heard = heard
        self._ended = threading.Event()
        self._masters: dict[str, Place] = {}
        """The addresses of the masters when this sentinel was last asked."""
        self._connection: Any = None

    def end(self) -> None:
        """End the thread."""
        self._ended.set()
        if self._connection is not None:
            shut_down(self._connection)

    def run(self) -> None:
        """Listen until ``end`` is called."""
        backoff = Backoff()
        while not self._ended.is_set():
            try:
                self._listen(backoff)
            except Exception as error:
                if not self._ended.is_set():
                    logger.debug("%s cannot be heard: %s", self.name, error)
            self._ended.wait(backoff.fail())

    def _listen(self, backoff: Backoff) -> None:
        # It waits for as long as nothing happens. TCP keepalive notices a host that has disappeared.
        with (
            redis.Redis(**{**self._keywords, "socket_timeout": None}) as client,
            client.pubsub() as subscription,
        ):
            subscription.subscribe(SELECTED, PROMOTED, SWITCHED)
            self._connection = subscription.connection
            if self._ended.is_set():
                return
            for message in subscription.listen():
                if message["type"] == "subscribe" and message["channel"] == SWITCHED:
                    # It asks after it has subscribed, so that it misses no switch.
                    self._ask()
                    backoff.succeed()
                elif message["type"] == "message":
                    self._read(message["channel"], message["data"].decode())

    def _ask(self) -> None:
        """Find switches that took place while this process could not hear the sentinel."""
        with redis.Redis(**self._keywords) as client:
            masters: dict[Any, Any] = client.sentinel_masters()
        for name, state in masters.items():
            service = name.decode() if isinstance(name, bytes) else name
            place = (state["ip"], state["port"])
            if self._masters.get(service, place) != place:
                self._heard(service, place, True)
            self._masters[service] = place

    def _read(self, channel: bytes, text: str) -> None:
        words = text.split()
        if channel == SWITCHED:  # <service> <old host> <old port> <new host> <new port>
            service, host, port = words[0], words[3], words[4]
            self._masters[service] = (host, int(port))
        else:  # slave <name> <host> <port> @ <service> <old host> <old port>
            service, host, port = words[5], words[2], words[3]
        self._heard(service, (host, int(port)), channel != SELECTED)
