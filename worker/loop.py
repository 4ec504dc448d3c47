"""``Worker`` takes messages from a channel layer, runs their consumers, and sends what those sent.

The whole story is in ``Worker._run``:

1. One round trip to the layer sends what the last consumers sent, acknowledges the last batch, and takes the next
   one. If there is none, it waits for one.
2. The messages of the batch run one after another. The journal of the process notes each one before it runs. So a
   sweep knows what was started if the process is killed.
3. Asynchronous consumers continue in the event loop of the process. ``handover.py`` keeps their batch in-flight.
4. At the end, what was not started goes back to its channel.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from typing import Any

from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.backoff import Backoff
from channels_classic.dotted import name_of
from channels_classic.layers import BaseChannelLayer, Lapsed, LayerUnavailable, Lease, Received, fencing
from channels_classic.layers.redelivery import LOST_GOODBYE_CHANNEL
from channels_classic.log import logger
from channels_classic.message import Message
from channels_classic.outages import log_return
from channels_classic.pending import PendingSends
from channels_classic.processes.heartbeat import channel_and_path
from channels_classic.sessions.store import forget_session
from channels_classic.signals import worker_ready
from worker.channels import ChannelFilters, ReceivedChannels
from worker.connections import after_consumer, before_consumer, of_thread
from worker.consume import OnError, begin, log_error
from worker.finish import finish
from worker.handover import Handover
from worker.host import WorkerHost
from worker.in_hand import InHand
from worker.pace import Pace
from worker.place import Place
from worker.sender import RETRY_PAUSE
from worker.senders import Senders
from worker.signals import stopping_at_signals
from worker.termed import Termed

WAIT_SECONDS = 5.0
"""Seconds that an idle worker waits in one call. A message ends the wait at once, and so does ``stop``."""


class Worker(Termed):
    """Runs consumers, one message at a time, until it is stopped.

    Arguments:
        channel_layer: one of ``channel_layers``, with its router.
        callback: called with the name of the channel and the ``Message`` before each consumer.
        message_retries: how many times ``ConsumeLater`` may put a message back.
        signal_handlers: whether ``run`` stops at SIGTERM and SIGINT. This works only in the main thread.
        only_channels: globs. Channels that match none of them are left to other workers.
        exclude_channels: globs. Channels that match one of them are left to other workers.
        on_error: called, as ``log_error`` is, with each exception that a consumer should not have raised.
        place: the parts of its process that it uses.
    """

    def __init__(
        self,
        channel_layer: ChannelLayerWrapper,
        callback: Callable[[str, Message], None] | None = None,
        message_retries: int = 10,
        signal_handlers: bool = True,
        only_channels: Iterable[str] | None = None,
        exclude_channels: Iterable[str] | None = None,
        on_error: OnError = log_error,
        place: Place | None = None,
    ) -> None:
        super().__init__()
        self.channel_layer = channel_layer
        self.callback = callback
        self.message_retries = message_retries
        self.signal_handlers = signal_handlers
        self._on_error = on_error
        self.only_channels = only_channels
        self.exclude_channels = exclude_channels
        # A worker without a layer cannot run, but its filters can be used.
        self._layer: BaseChannelLayer = getattr(channel_layer, "channel_layer", None)  # type: ignore[assignment]
        self._place = place or Place()
        self._filters = ChannelFilters(only_channels, exclude_channels)
        self._channels = ReceivedChannels(self._filters)
        self._in_hand = InHand(self._layer, self._place.hand())
        self._senders = Senders(self._layer, self._in_hand.hand.taker)
        self._pace = Pace()
        self._backoff = Backoff()
        self._losses: int = getattr(self._layer, "losses", 0)
        self._is_ready = False
        self._hurried = False
        self._host = WorkerHost(self._layer, self._senders.own, self._stopping, self._place.streams)
        self._handover = Handover(self._layer, self._in_hand, self._senders, self._place, self._stopping)

    def ready(self) -> None:
        """Send ``worker_ready`` once. ``run`` does this if nobody has."""
        if not self._is_ready:
            self._is_ready = True
            worker_ready.send(sender=self)

    def run(self) -> None:
        """Work until ``stop`` is called. Then finish what runs, and give back what was not started.

        Raises:
            KeyboardInterrupt: it came in this thread, without ``signal_handlers``. The running consumer has
                failed; everything else has ended as usual.
        """
        with stopping_at_signals(self.stop) if self.signal_handlers else nullcontext():
            self._run()

    @property
    def is_cut_off(self) -> bool:
        """Whether the last attempt to reach the layer has failed."""
        return self._backoff.failures > 0

    def _run(self) -> None:
        self.ready()
        fencing.act_as(self._in_hand.hand)
        try:
            while not self.termed:
                some_wait = self._in_hand.take(self._send_and_receive())
                if some_wait and self._place.watchdog is not None:
                    self._place.watchdog.wake()
                while not self._stopping.is_set() and self._handover.has_room():
                    if (received := self._in_hand.start_next()) is None:
                        break
                    self._run_consumer(received)
                self._handover.leave_batch()
        finally:
            self._in_hand.rest()
            is_held = self._handover.end()
            finish(self._in_hand, self._senders, lambda: self._hurried, acknowledge=not is_held)
            self._handover.sent()
            fencing.act_as(None)

    def _send_and_receive(self) -> Sequence[Received]:
        """Send what the consumers sent, and take the next messages. If there are none, wait for them."""
        if self._backoff.failures or self._layer.losses != self._losses:
            self._losses = self._layer.losses
            self._senders.own.repeat_ends()
        try:
            batch = self._trip()
        except Lapsed:
            self._in_hand.hand.is_over = True
            return ()
        except LayerUnavailable as error:
            self._host.wait_out(error, self._backoff)
            return error.received
        if self._backoff.succeed():
            log_return(self._layer)
        return batch

    def _trip(self) -> Sequence[Received]:
        if not self._in_hand.hand.is_valid:
            self._confirm_hand()
        self._in_hand.settle()
        if self._in_hand.waiting:
            return ()  # they come first, and to receive now would acknowledge them
        wake_channel = self._in_hand.hand.wake_channel
        closed = self._handover.closed_channels(self.wake)
        channels = self._channels.without(closed, self.channel_layer.router, wake_channel)
        limit = self._pace.limit()
        batch = self._senders.flush_and_receive(channels, limit, WAIT_SECONDS)
        self._handover.sent()
        if not batch and self._senders.retrying:
            batch = self._senders.own.receive(channels, limit, RETRY_PAUSE)
        return [received for received in batch if not received.channel.startswith(wake_channel)]

    def _confirm_hand(self) -> None:
        """Make sure that the process is known to be alive, or has a new name if it has lapsed.

        Raises:
            LayerUnavailable: the layer does not answer.
        """
        hand = self._place.confirm(self._in_hand.hand)
        if hand is self._in_hand.hand:
            if hand.is_over:
                hand.is_over = False
                raise LayerUnavailable("Its registry does not know whether this process is alive.")
            return
        dropped = self._in_hand.drop()
        if dropped:
            logger.warning("%d messages that a worker had not started run elsewhere.", dropped)
        self._senders.own.drop()
        self._in_hand.hand = hand
        fencing.act_as(hand)
        self._senders.own.taker = hand.taker

    def _run_consumer(self, received: Received) -> None:
        pending = PendingSends(self._host)
        goes_on = False
        try:
            message = Message(received.content, received.channel, self.channel_layer)  # type: ignore[arg-type]
            if received.deliveries > 1:
                message.deliveries = received.deliveries
            if self.callback is not None:
                self.callback(received.channel, message)
            # Many consumers never use the database, and to ask Django takes as long as such a consumer does.
            if of_thread.has_connections:
                before_consumer()
            if received.channel == LOST_GOODBYE_CHANNEL:
                with pending:
                    forget_session(message)
            else:
                router, retries = self.channel_layer.router, self.message_retries
                unfinished = begin(message, router, retries, type(self), self._on_error, pending)
                if unfinished is not None:
                    goes_on = self._handover.take(received, unfinished, self._host)
            if of_thread.has_connections:
                after_consumer(received.channel)
        except KeyboardInterrupt:
            raise
        except BaseException:
            # This is no error of the consumer, which ``consume`` handles. Something is wrong with the message
            # itself.
            logger.exception("A message on %r could not be handled and was dropped:", received.channel)
        finally:
            if not goes_on and pending.deliveries:
                self._senders.add(pending.deliveries, self._host.lease)
            self._host.lease = None
            self._pace.note(time.monotonic() - self._in_hand.since)

    def stop(self) -> None:
        """Make ``run`` return as soon as the running consumer has finished. Any thread may call this."""
        self._stopping.set()
        self.wake()

    @property
    def has_waiting(self) -> bool:
        """Whether it has messages that it has neither started nor given back."""
        return bool(self._in_hand.waiting)

    @property
    def in_job(self) -> bool:
        """Whether a consumer is running."""
        return self._in_hand.running is not None

    def stop_without_waking(self) -> None:
        """As ``stop``, for a caller that must not wait for the layer. ``wake`` has to follow in another thread."""
        self._stopping.set()

    def wake(self) -> None:
        """Make ``run`` check at once whether it has to stop, or has another router. Any thread may call this."""
        try:
            self._layer.send_batch([self._layer.prepare(f"{self._in_hand.hand.wake_channel}wake", {})])
        except LayerUnavailable:
            pass  # then the worker is not waiting for messages, and checks by itself

    def hurry(self) -> None:
        """Make ``run`` end without waiting for a layer. A signal handler may call this."""
        self._hurried = True

    def relieve(self, patience: float) -> bool:
        """Do not let messages wait behind a consumer that has been running for more than ``patience`` seconds.

        Messages that were not started go back to the layer, and what earlier consumers sent goes out.

        Returns:
            Whether this has to be called again, because the worker still has messages of its batch.
        """
        return self._in_hand.relieve(patience, self._senders.own.flush)

    @property
    def leases(self) -> list[Lease]:
        """The leases of turns that run, or whose ends have not been sent. Any thread may call this."""
        return self._host.leases

    @property
    def running_since(self) -> float | None:
        """The start of the running consumer, by ``time.monotonic``; ``None`` if none is running."""
        running = self._in_hand.running
        return None if running is None else running.since

    def running(self) -> str | None:
        """A text with the running consumer, its channel and its duration; ``None`` if none is running."""
        running = self._in_hand.running
        if running is None:
            return None
        received, since = running
        return f"{self.describe(received.channel, received.content)}, for {time.monotonic() - since:.0f} s"

    def describe(self, channel: str, content: dict[str, Any]) -> str:
        """A message, for the log: its channel, its path if it has one, and its consumer."""
        try:
            match = self.channel_layer.router.match(Message(content, channel, self.channel_layer))  # type: ignore[arg-type]
            consumer = name_of(match[0]) if match else "no consumer"
        except Exception:  # nobody has checked the content, or its consumer changes it while it runs
            consumer = "unknown consumer"
        return f"{channel_and_path(channel, content)} ({consumer})"

    def channels(self) -> list[str]:
        """The channels of the routing that this worker takes messages from, sorted."""
        return self.apply_channel_filters(sorted(self.channel_layer.router.channels))

    def apply_channel_filters(self, channels: Iterable[str]) -> list[str]:
        """The channels that ``only_channels`` and ``exclude_channels`` do not leave out."""
        return self._filters.apply(channels)
