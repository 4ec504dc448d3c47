"""``Switches``: hears from Redis Sentinel that another server has become the master of a service.

The old master may go on answering for seconds, and what is written to it then is lost. So a process leaves it as
soon as any sentinel tells of the switch, and does not wait for an error.
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
"""What sentinels publish, in this order. The first two come from the sentinel that makes the switch: a tenth of a
second before the replica becomes the master, and when it is seen to be. Then it looks after the other replicas."""

RECENT_SECONDS = 10.0
"""For how long what one sentinel tells counts more than what others answer, who may not have heard of it yet."""


class Follower(Protocol):
    """A pool of connections to the master of a service."""

    service_name: str

    def leave_all_but(self, master: Place, at_once: bool) -> None:
        """Use the connections that lead elsewhere no more. It is called in a thread of its own.

        Arguments:
            at_once: whether those in use are closed; otherwise they have their answers first.
        """


class Switches:
    """Subscribes to all sentinels, by a thread for each, while there are followers.

    A thread for each, because one that hangs, or is away, must not keep this process from hearing the others. A
    thread that waits costs nothing.

    Arguments:
        sentinels: host and port of each.
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
        """Tell a pool of switches from now on."""
        if follower in self._followers and self._process == os.getpid():
            return
        with self._lock:
            if self._process != os.getpid():
                # Threads do not survive a fork, and the parent's connections are the parent's.
                self._subscriptions, self._process = [], os.getpid()
            self._followers.add(follower)
            if not self._subscriptions:
                self._subscriptions = [
                    _Subscription(place, self._keywords, self._heard) for place in self._sentinels
                ]
                for subscription in self._subscriptions:
                    subscription.start()

    def leave(self, follower: Follower) -> None:
        """Tell a pool nothing any more."""
        with self._lock:
            self._followers.discard(follower)
            if not self._followers:
                for subscription in self._subscriptions:
                    subscription.end()
                self._subscriptions = []

    def recent(self, service: str) -> Place | None:
        """The address of a service's master, if there was a switch a moment ago."""
        place, until = self._recent.get(service, (None, 0.0))
        return place if time.monotonic() < until else None

    def doubt(self, service: str) -> None:
        """The master cannot be reached where it is said to be: the sentinels are to be asked."""
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
    """Listens to one sentinel, and connects again when that went away.

    Arguments:
        place: of the sentinel.
        keywords: for redis-py's client.
        heard: called with the name of a service, the place of its new master, and whether it is the master by now.
    """

    def __init__(self, place: Place, keywords: dict[str, Any], heard: Callable[[str, Place, bool], None]) -> None:
        super().__init__(name=f"sentinel {place[0]}:{place[1]}", daemon=True)
        self._keywords = {**keywords, "host": place[0], "port": place[1], "decode_responses": False}
        self._heard = heard
        self._ended = threading.Event()
        self._masters: dict[str, Place] = {}
        """The addresses of the masters when this sentinel was asked last."""
        self._connection: Any = None

    def end(self) -> None:
        """Let the thread end."""
        self._ended.set()
        if self._connection is not None:
            shut_down(self._connection)

    def run(self) -> None:
        """Listen, until ``end``."""
        backoff = Backoff()
        while not self._ended.is_set():
            try:
                self._listen(backoff)
            except Exception as error:
                if not self._ended.is_set():
                    logger.debug("%s cannot be heard: %s", self.name, error)
            self._ended.wait(backoff.fail())

    def _listen(self, backoff: Backoff) -> None:
        # It waits for as long as nothing happens. TCP keepalive notices a host that is gone.
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
                    # Only now, so that no switch falls in between.
                    self._ask()
                    backoff.succeed()
                elif message["type"] == "message":
                    self._read(message["channel"], message["data"].decode())

    def _ask(self) -> None:
        """Find switches that took place while this sentinel could not be heard."""
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
