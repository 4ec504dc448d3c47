"""``Outbox``: the only way from the clients of this process to the channel layer, in batches.

An urgent message (an HTTP request, a handshake) goes with the next batch, or is refused at once. Other messages
wait in a queue of their client, with one ``FairQueue`` for each channel.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence

from channels_classic.backoff import Backoff
from channels_classic.counters import counters
from channels_classic.layers import BaseChannelLayer, Delivery, LayerUnavailable
from channels_classic.log import logger
from channels_classic.outages import log_outage, log_return, note_outage
from interface_server.deadline import Deadline
from interface_server.fair_queue import ClientQueue
from interface_server.heartbeat import Heartbeat
from interface_server.lanes import Lanes, Load
from interface_server.outcome import Outcome
from interface_server.urgent import Done, Urgent, UrgentQueue

BATCH_MESSAGES, BATCH_BYTES = 1000, 4 * 2**20
"""The most of each kind, urgent and other messages, in one round trip, unless a single message is larger."""

ANSWER_SECONDS = 5.0
"""Seconds without an answer after which the layer counts as unreachable."""

DEADLINE_CHECK_SECONDS = 0.5
"""Seconds between two searches of a full channel for messages that have waited too long."""

JOIN_SECONDS = 0.002
"""Seconds for which a batch waits at most while more messages arrive in each iteration of the event loop."""

JOIN_URGENT = 16
"""From this number of urgent messages on, a batch does not wait. They are enough work for a worker, which would
idle while all requests of all clients join, and leave the interface server idle while it answers them."""

SELDOM_READ = "http.disconnect"
"""In most projects nobody reads this channel. That it is full is no news, and does not count."""


class _Batch:
    """The messages of one round trip to the layer: the urgent ones, then those of the lanes."""

    def __init__(self, urgent: list[Urgent], loads: list[Load]) -> None:
        self.urgent = urgent
        self.loads = loads
        self.deliveries = [message.delivery for message in urgent]
        for _, taken in loads:
            self.deliveries += [entry.delivery for entry in taken]


class Outbox:
    """Sends the messages of clients in batches, one round trip after another.

    Arguments:
        layer: the channel layer.
        restore: awaited when the layer may be back after an outage, before anything else is sent. It raises
            ``LayerUnavailable`` if the layer is not back.
        heartbeat: the heartbeat of the process. Nothing is sent while the process may have been declared dead.
    """

    def __init__(
        self,
        layer: BaseChannelLayer,
        restore: Callable[[], Awaitable[None]] | None = None,
        heartbeat: Heartbeat | None = None,
    ) -> None:
        self._layer = layer
        self._restore = restore
        self._heartbeat = heartbeat
        self._loop = asyncio.get_running_loop()
        self._urgent = UrgentQueue()
        self._lanes = Lanes()
        self._arrived = asyncio.Event()
        self._emptied = asyncio.Event()
        self._in_flight: _Batch | None = None
        self._uncertain: list[Load] = []
        """The messages of batches whose answers were lost. Their outcomes are found out when the layer is back."""
        self._deadline = Deadline(self._loop, self._layer_hangs)
        """The time limit of the round trip."""
        self._backoff = Backoff()
        self.is_open = True
        """Whether it still sends messages."""
        self._is_unreachable = False
        self._unreachable_seconds = 0.0
        self._next_deadline_check = 0.0
        self._is_shared = False
        """Whether the last batch had several messages. A message that is alone does not wait for others."""
        self._settled = 0
        """How many messages from lanes were taken."""

    @property
    def is_unreachable(self) -> bool:
        """Whether the last attempts to reach the layer have failed."""
        return self._is_unreachable

    # Urgent messages.

    def put(self, delivery: Delivery, done: Done | None = None, key: str | None = None) -> None:
        """Send a message with the next batch. If its channel is full, or the layer unreachable, it is refused.

        Arguments:
            done: called with the outcome, but not before this call has returned.
            key: for ``withdraw``. No other message that is under way may have it.
        """
        message = Urgent(delivery, done)
        if self.is_open and not self._is_unreachable and self._urgent.put(message, key):
            self._arrived.set()
        else:
            self._loop.call_soon(message.settle, Outcome.REFUSED)

    def withdraw(self, key: str) -> bool:
        """Do not send a message that nobody needs any more.

        Arguments:
            key: as in ``put``.

        Returns:
            Whether it certainly is not sent, because it was not on its way to the layer yet.
        """
        return self._urgent.withdraw(key)

    async def send(self, delivery: Delivery, patience: float = 0) -> Outcome:
        """Send a message, and return its outcome.

        Arguments:
            patience: seconds that it waits for room in its channel.
        """
        settled: asyncio.Future[Outcome] = self._loop.create_future()

        def done(outcome: Outcome) -> None:
            if not settled.done():
                settled.set_result(outcome)

        if patience:
            self.enqueue(ClientQueue(None, done), delivery, patience)
        else:
            self.put(delivery, done)
        return await settled

    # Messages that wait for room.

    def enqueue(self, queue: ClientQueue, delivery: Delivery, patience: float) -> bool:
        """Send a message when there is room in its channel, in rotation with the other clients.

        Arguments:
            queue: the queue of its client for this channel.
            patience: seconds after which it is refused. The time of an outage does not count.

        Returns:
            Whether it is within the bounds of the client. If not, nothing is done.
        """
        if not self._lanes.put(queue, delivery, self._loop.time() - self._unreachable_seconds + patience):
            return False
        if self.is_open:
            self._arrived.set()
        else:
            self._loop.call_soon(self._lanes.drop, queue)
        return True

    def leave(self, queue: ClientQueue) -> None:
        """Note that a client is gone. Its last messages are tried once, unless their channel is full."""
        self._lanes.leave(queue, try_once=not self._is_unreachable)

    def drop(self, queue: ClientQueue) -> None:
        """Refuse all waiting messages of a client."""
        self._lanes.drop(queue)

    @property
    def is_crowded(self) -> bool:
        """Whether so much of all clients waits that each should send as little as possible."""
        return self._lanes.is_crowded

    def _patience_time(self) -> float:
        return self._loop.time() - self._unreachable_seconds

    # Sending.

    async def run(self) -> None:
        """Send messages until cancelled."""
        while True:
            await self._wait_for_work()
            if self._is_shared:
                await self._let_others_join()
            if self._heartbeat is not None and not self._heartbeat.is_trusted:
                await self._confirm(self._heartbeat)
            batch = self._next_batch()
            if not batch.deliveries:
                continue
            self._in_flight = batch
            self._is_shared = len(batch.deliveries) > 1
            try:
                self._deadline.set(ANSWER_SECONDS)
                try:
                    refused = await self._layer.asend_batch(batch.deliveries)
                finally:
                    self._deadline.clear()
            except LayerUnavailable as error:
                self._in_flight = None
                self._settle_failed(batch, error.nothing_done)
                await self._outage(error)
            else:
                self._in_flight = None
                self._settle(batch, refused)
                if self._backoff.succeed() or self._is_unreachable:
                    self._is_unreachable = False
                    log_return(self._layer)

    async def _confirm(self, heartbeat: Heartbeat) -> None:
        """Make sure that nobody has declared this process dead. If somebody has, its clients are gone."""
        self._deadline.set(ANSWER_SECONDS)
        try:
            await heartbeat.beat()
        except LayerUnavailable as error:
            await self._outage(error)
        finally:
            self._deadline.clear()

    async def drain(self, patience: float) -> bool:
        """Wait until all messages have been taken or given up.

        Arguments:
            patience: seconds that it waits while no message is taken.

        Returns:
            Whether no message is left.
        """
        while self._urgent or self._lanes or self._in_flight is not None or self._uncertain:
            self._emptied.clear()
            before = self._settled
            try:
                async with asyncio.timeout(patience):
                    await self._emptied.wait()
            except TimeoutError:
                if self._settled == before:
                    return False
        return True

    def close(self) -> None:
        """Refuse all messages, present and future, because nothing can be sent any more."""
        self.is_open = False
        if self._in_flight is not None:
            for message in self._in_flight.urgent:
                message.settle(Outcome.UNKNOWN)
        self.refuse_all()

    def refuse_all(self) -> None:
        """Refuse all messages that are not on their way."""
        for load in self._uncertain:
            self._lanes.lose(load)
        self._uncertain = []
        self._urgent.refuse_all()
        self._lanes.refuse_all()

    async def _wait_for_work(self) -> None:
        """Wait until there is a message for a channel that is not known to be full."""
        while not self._urgent:
            opens_at = self._lanes.opens_at
            if opens_at == 0 or opens_at <= self._loop.time():
                return
            self._arrived.clear()
            if opens_at == math.inf:
                self._emptied.set()
                await self._arrived.wait()
            else:
                timer = self._loop.call_at(opens_at, self._arrived.set)
                await self._arrived.wait()
                timer.cancel()

    async def _let_others_join(self) -> None:
        """Let the event loop read on while more messages arrive, as a round trip takes the time of many messages.

        The clients that have just got the answers of one batch send their next messages one after another.
        """
        until = self._loop.time() + JOIN_SECONDS
        before = 0
        while len(self._urgent) < JOIN_URGENT and self._loop.time() < until:
            waiting = len(self._urgent) + self._lanes.messages
            if waiting == before:
                break
            before = waiting
            await asyncio.sleep(0)

    def _next_batch(self) -> _Batch:
        now = self._loop.time()
        if now >= self._next_deadline_check:
            self._next_deadline_check = now + DEADLINE_CHECK_SECONDS
            self._lanes.refuse_overdue(self._patience_time())
        return _Batch(
            self._urgent.take(BATCH_MESSAGES, BATCH_BYTES), self._lanes.take(BATCH_MESSAGES, BATCH_BYTES, now)
        )

    def _settle(self, batch: _Batch, refused: Sequence[int]) -> None:
        counters.sent += len(batch.deliveries) - len(refused)
        if refused:
            counters.full += sum(batch.deliveries[position].name != SELDOM_READ for position in refused)
        now = self._loop.time()
        position = len(batch.urgent)
        for load in batch.loads:
            # A channel that has refused one message of a batch has also refused those behind it.
            first, end = position, position + len(load.taken)
            position = min((at for at in refused if first <= at < end), default=end) if refused else end
            self._settled += position - first
            self._lanes.settle(load, position - first, now)
            position = end
        refused_positions = frozenset(refused)
        for position, message in enumerate(batch.urgent):
            message.settle(Outcome.REFUSED if position in refused_positions else Outcome.TAKEN)

    def _settle_failed(self, batch: _Batch, nothing_done: bool) -> None:
        """Settle a batch whose round trip failed. What may have arrived is not sent again: it could come twice."""
        for load in batch.loads:
            if nothing_done:
                self._lanes.put_back(load)
            else:
                self._uncertain.append(load)
        for message in batch.urgent:
            message.settle(Outcome.REFUSED if nothing_done else Outcome.UNKNOWN)

    # Outages.

    async def _find_out(self) -> None:
        """Find out the outcomes of messages that may have arrived, by the orders that the layer has stored."""
        if not self._uncertain:
            return
        entries = [entry for load in self._uncertain for entry in load.taken]
        channels = {entry.delivery.client.channel for entry in entries if entry.delivery.client is not None}
        orders = None
        if self._heartbeat is not None:
            orders = await self._layer.ataken_orders(self._heartbeat.process.name, sorted(channels))
        uncertain, self._uncertain = self._uncertain, []
        # In reverse order, because each one is put back in front.
        for load in reversed(uncertain):
            if orders is None:
                self._lanes.lose(load)
            else:
                self._lanes.find_out(load, orders)

    async def _outage(self, error: LayerUnavailable) -> None:
        """Wait until the layer may be back. Meanwhile urgent messages are refused, and the others wait."""
        began = self._loop.time()
        self._is_unreachable = True
        self._urgent.refuse_all()
        while True:
            pause = self._backoff.fail()
            if self._backoff.is_news:
                log_outage(self._layer, error)
            await asyncio.sleep(pause)
            try:
                # This comes before the layer learns again about the sockets of this process.
                await self._find_out()
                if self._restore is not None:
                    await self._restore()
                break
            except LayerUnavailable as again:
                error = again
        self._unreachable_seconds += self._loop.time() - began
        self._is_unreachable = False

    def _layer_hangs(self) -> None:
        """Refuse urgent messages, because the layer does not answer."""
        logger.error(
            "The channel layer has not answered for %s s: requests get 503 until it does. Does its server hang?",
            ANSWER_SECONDS,
        )
        note_outage(self._layer)
        self._is_unreachable = True
        if self._in_flight is not None:
            for message in self._in_flight.urgent:
                message.settle(Outcome.UNKNOWN)
        self._urgent.refuse_all()
