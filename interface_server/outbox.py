"""The one way from the clients of this process to the channel layer: batches, in order."""

from __future__ import annotations

import asyncio
import enum
import random
from collections.abc import Callable
from typing import NamedTuple

from channels_classic.layers import BaseChannelLayer, Delivery, LayerUnavailable
from channels_classic.log import logger

RETRY_PAUSE = 0.01
"""Seconds before messages that found their channel full are tried again."""

CONGESTED_AT = 1000
"""So many messages that wait for the next batch are enough."""

UNAVAILABLE_PAUSE = (0.1, 5.0)
"""The shortest and the longest pause before an unreachable layer is tried again."""


class Outcome(enum.Enum):
    """What became of a delivery."""

    TAKEN = enum.auto()
    """The layer has it."""

    REFUSED = enum.auto()
    """The layer surely does not have it: it may be sent again."""

    UNKNOWN = enum.auto()
    """The layer went away before it answered: sent again it could arrive twice, left out it could be missing."""


class _Item(NamedTuple):
    delivery: Delivery
    patience: float
    deadline: float
    done: Callable[[Outcome], None] | None
    sender: object


class Outbox:
    """Sends what the clients put in, as one batch per turn of the event loop or per answer of the layer.

    Arguments:
        layer: where the messages go.
    """

    def __init__(self, layer: BaseChannelLayer) -> None:
        self._layer = layer
        self._loop = asyncio.get_running_loop()
        self._new: list[_Item] = []
        self._backlog: list[_Item] = []
        self._arrival: asyncio.Future[None] | None = None
        self._call_when_room: list[Callable[[], None]] = []
        self._emptied: asyncio.Future[None] | None = None

    def put(
        self,
        delivery: Delivery,
        done: Callable[[Outcome], None] | None = None,
        patience: float = 0,
        sender: object = None,
    ) -> None:
        """Send ``delivery`` with the next batch.

        Arguments:
            done: called with what became of it.
            patience: seconds for which a full channel that takes nothing is tried again; 0 for not at all.
            sender: when one delivery is given up, so are the later ones of the same sender.
        """
        deadline = self._loop.time() + patience if patience else 0
        self._new.append(_Item(delivery, patience, deadline, done, sender))
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    async def send(self, delivery: Delivery) -> Outcome:
        """Send ``delivery`` with the next batch; what became of it."""
        settled: asyncio.Future[Outcome] = self._loop.create_future()

        def done(outcome: Outcome) -> None:
            if not settled.done():
                settled.set_result(outcome)

        self.put(delivery, done)
        return await settled

    @property
    def congested(self) -> bool:
        """Whether messages wait for room, or many for their turn: who can wait should send no more for now."""
        return bool(self._backlog) or len(self._new) > CONGESTED_AT

    def when_room(self, call: Callable[[], None]) -> None:
        """Call ``call`` once when it is congested no more."""
        self._call_when_room.append(call)

    async def room(self) -> None:
        """Wait until it is congested no more."""
        if self.congested:
            room: asyncio.Future[None] = self._loop.create_future()

            def tell() -> None:
                if not room.done():
                    room.set_result(None)

            self.when_room(tell)
            await room

    async def drain(self) -> None:
        """Wait until all that was put in has been taken or given up."""
        while self._new or self._backlog or self._arrival is None:
            if self._emptied is None:
                self._emptied = self._loop.create_future()
            await asyncio.shield(self._emptied)

    async def run(self) -> None:
        """Send, until cancelled."""
        failures = 0
        while True:
            if not self._new and not self._backlog:
                self._tell("_emptied")
                self._tell_of_room()
                self._arrival = self._loop.create_future()
                await self._arrival
                self._arrival = None
            elif not self._new:
                await asyncio.sleep(RETRY_PAUSE)
            items = self._backlog + self._new
            self._new = []
            try:
                full = await self._layer.asend_batch([item.delivery for item in items])
            except LayerUnavailable as error:
                failures += 1
                await self._outage(items, error, failures)
                continue
            if failures:
                logger.warning("The channel layer is back.")
                failures = 0
            self._settle(items, full)

    def _settle(self, items: list[_Item], full: list[int]) -> None:
        self._backlog = []
        if full:
            self._settle_refused(items, set(full))
        else:
            for item in items:
                if item.done is not None:
                    item.done(Outcome.TAKEN)
        if not self.congested:
            self._tell_of_room()

    def _settle_refused(self, items: list[_Item], refused: set[int]) -> None:
        now = self._loop.time()
        moving = {item.delivery.name for position, item in enumerate(items) if position not in refused}
        given_up: set[object] = set()
        for position, item in enumerate(items):
            if position not in refused:
                if item.done is not None:
                    item.done(Outcome.TAKEN)
            elif item.patience and item.delivery.name in moving and item.sender not in given_up:
                # Others found room, so there will be some for this one too: it is only a matter of time.
                self._backlog.append(item._replace(deadline=now + item.patience))
            elif now < item.deadline and item.sender not in given_up:
                self._backlog.append(item)
            else:
                self._give_up(item, given_up, Outcome.REFUSED)
        self._give_up_new_of(given_up)

    def _tell_of_room(self) -> None:
        calls, self._call_when_room = self._call_when_room, []
        for call in calls:
            call()

    async def _outage(self, items: list[_Item], error: LayerUnavailable, failures: int) -> None:
        if failures == 1 or failures % 10 == 0:
            logger.error("The channel layer cannot be reached; trying again. %s", error)
        # What may have arrived is not sent again: nothing is delivered twice.
        outcome = Outcome.REFUSED if error.nothing_done else Outcome.UNKNOWN
        self._backlog = []
        given_up: set[object] = set()
        for item in items:
            if error.nothing_done and item.deadline:
                self._backlog.append(item._replace(deadline=max(item.deadline, self._loop.time() + 1)))
            else:
                self._give_up(item, given_up, outcome)
        self._give_up_new_of(given_up)
        shortest, longest = UNAVAILABLE_PAUSE
        pause = min(longest, shortest * 2**failures) * random.uniform(0.5, 1)
        until = self._loop.time() + pause
        while (left := until - self._loop.time()) > 0:
            await asyncio.sleep(min(left, RETRY_PAUSE))
            # New exchanges are told at once that nobody can serve them now; what can wait, waits.
            new, self._new = self._new, []
            for item in new:
                if item.deadline:
                    self._backlog.append(item)
                elif item.done is not None:
                    item.done(Outcome.REFUSED)

    @staticmethod
    def _give_up(item: _Item, given_up: set[object], outcome: Outcome) -> None:
        if item.sender is not None:
            given_up.add(item.sender)
        if item.done is not None:
            item.done(outcome)

    def _give_up_new_of(self, senders: set[object]) -> None:
        if senders:
            new, self._new = self._new, []
            for item in new:
                if item.sender in senders:
                    self._give_up(item, senders, Outcome.REFUSED)
                else:
                    self._new.append(item)

    def _tell(self, name: str) -> None:
        future = getattr(self, name)
        if future is not None:
            setattr(self, name, None)
            if not future.done():
                future.set_result(None)
