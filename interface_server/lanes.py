"""``Lanes``: the messages that wait for room in their channels, with one lane for each channel.

The clients in a lane take turns, and a lane offers no more messages than its channel probably has room for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from channels_classic.layers import Delivery
from channels_classic.log import logger
from interface_server.fair_queue import ClientQueue, Entry, FairQueue
from interface_server.outcome import Outcome
from interface_server.window import Window

CROWDED_AT, CROWDED_AT_BYTES = 20_000, 64 * 2**20
"""From this amount on, all clients together have so much in a lane that each should send as little as possible."""

KEPT_LANES = 16
"""How many channels are remembered although no message waits for them."""


class Lane:
    """One channel, and the messages that wait for room in it."""

    def __init__(self) -> None:
        self.queue = FairQueue()
        self.window = Window()


class Load(NamedTuple):
    """The messages of one lane in a round trip."""

    lane: Lane
    taken: list[Entry]


class Lanes:
    """The lanes of a process. The caller passes the time, and sends the messages."""

    def __init__(self) -> None:
        self._lanes: dict[str, Lane] = {}

    def __bool__(self) -> bool:
        return any(lane.queue for lane in self._lanes.values())

    @property
    def messages(self) -> int:
        """The number of messages that wait."""
        return sum(lane.queue.messages for lane in self._lanes.values())

    @property
    def opens_at(self) -> float:
        """The time at which the next lane with messages can be tried; infinity if there is none."""
        earliest = math.inf
        for lane in self._lanes.values():
            if lane.queue and lane.window.opens_at < earliest:
                earliest = lane.window.opens_at
        return earliest

    @property
    def is_crowded(self) -> bool:
        """Whether all clients together have too many messages or bytes in a lane."""
        for lane in self._lanes.values():
            if lane.queue.messages > CROWDED_AT or lane.queue.size > CROWDED_AT_BYTES:
                return True
        return False

    def put(self, queue: ClientQueue, delivery: Delivery, deadline: float) -> bool:
        """Let a message wait. Returns ``False`` if too much of its client waits already.

        Arguments:
            queue: the queue of its client for this channel.
            deadline: the time at which it is refused.
        """
        lane = self._lanes.get(delivery.name)
        if lane is None:
            lane = self._lanes[delivery.name] = Lane()
        return lane.queue.put(Entry(queue, delivery, deadline))

    def leave(self, queue: ClientQueue, *, try_once: bool = True) -> None:
        """Note that a client is gone: messages without room are dropped.

        Arguments:
            try_once: whether its last messages are tried once if their channel is not known to be full.
        """
        queue.has_left = True
        if queue.waiting and (not try_once or self._lane_of(queue).window.is_full):
            self.drop(queue)

    def drop(self, queue: ClientQueue) -> None:
        """Refuse all waiting messages of a client."""
        if queue.waiting:
            _settle(self._lane_of(queue).queue.drop(queue), Outcome.REFUSED)

    def take(self, messages: int, size: int, now: float) -> list[Load]:
        """Take the messages to try now, within the bounds, but at least one.

        Arguments:
            messages: the most messages.
            size: the most bytes.
        """
        if len(self._lanes) > KEPT_LANES:
            self._forget_idle()
        loads = []
        for name, lane in self._lanes.items():
            queue, window = lane.queue, lane.window
            if queue and window.opens_at <= now:
                before = queue.size
                taken = queue.take(min(window.size, messages), size)
                loads.append(Load(lane, taken))
                messages -= len(taken)
                size -= before - queue.size
                if messages <= 0 or size <= 0:
                    self._lanes[name] = self._lanes.pop(name)  # the other lanes come first at the next call
                    break
        return loads

    def settle(self, load: Load, count: int, now: float) -> None:
        """Note that the channel took the first ``count`` messages, and refused the others."""
        lane, taken = load
        lane.window.learn(len(taken), count, now)
        if count == len(taken):
            _settle(taken, Outcome.TAKEN)
            return
        self._put_back(lane, taken[count:])
        _settle(taken[:count], Outcome.TAKEN)
        self._drop_left(taken[count:])

    def lose(self, load: Load) -> None:
        """Settle messages whose outcome is unknown."""
        _settle(load.taken, Outcome.UNKNOWN)

    def find_out(self, load: Load, orders: Mapping[str, int]) -> None:
        """Settle messages of sockets by what the layer has taken. The others are the next to be tried.

        The outcome of messages without an order stays unknown.

        Arguments:
            orders: for each reply channel, the order of the last message that was taken.
        """
        taken, unknown, left = [], [], []
        for entry in load.taken:
            client = entry.delivery.client
            if client is None or client.order is None:
                unknown.append(entry)
            elif client.order <= orders.get(client.channel, -1):
                taken.append(entry)
            else:
                left.append(entry)
        _settle(taken, Outcome.TAKEN)
        _settle(unknown, Outcome.UNKNOWN)
        self.put_back(Load(load.lane, left))

    def put_back(self, load: Load) -> None:
        """Put back messages that were not sent, to try them next, except those of clients that have left."""
        self._put_back(load.lane, load.taken)
        self._drop_left(load.taken)

    def refuse_overdue(self, now: float) -> None:
        """Refuse messages that have waited too long for room in a full channel.

        Arguments:
            now: the time, by the clock of the deadlines.
        """
        for lane in list(self._lanes.values()):
            if lane.window.is_full:
                _settle(lane.queue.take_overdue(now), Outcome.REFUSED)

    def refuse_all(self) -> None:
        """Refuse all messages."""
        for lane in list(self._lanes.values()):
            _settle(lane.queue.take_overdue(math.inf), Outcome.REFUSED)

    def _forget_idle(self) -> None:
        self._lanes = {name: lane for name, lane in self._lanes.items() if lane.queue or lane.window.is_full}

    def _put_back(self, lane: Lane, taken: Sequence[Entry]) -> None:
        lane.queue.put_back([entry for entry in taken if not entry.queue.has_left])

    def _drop_left(self, taken: Sequence[Entry]) -> None:
        for entry in taken:
            if entry.queue.has_left:
                _settle([entry], Outcome.REFUSED)
                self.drop(entry.queue)

    def _lane_of(self, queue: ClientQueue) -> Lane:
        return self._lanes[queue.waiting[0].delivery.name]


def _settle(entries: Sequence[Entry], outcome: Outcome) -> None:
    for entry in entries:
        queue = entry.queue
        queue.remove(entry)
        try:
            queue.settled(outcome)
        except Exception:
            # An error of one client must not stop the others.
            logger.exception("A client failed to handle the outcome of its message:")
