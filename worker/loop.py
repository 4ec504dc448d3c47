"""``Worker``: takes messages from a channel layer, runs their consumers, sends what they sent."""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Any

from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.backoff import Backoff
from channels_classic.layers import BaseChannelLayer, LayerUnavailable, Received
from channels_classic.layers.names import random_part
from channels_classic.log import logger
from channels_classic.message import Message
from channels_classic.outages import log_outage, log_return
from channels_classic.pending import PendingSends
from channels_classic.routing import Router
from channels_classic.signals import worker_ready
from worker.connections import after_consumer, before_consumer
from worker.consume import consume, name_of
from worker.in_hand import InHand
from worker.pace import Pace
from worker.sender import OUTAGE_SECONDS, RETRY_PAUSE
from worker.senders import Senders
from worker.signals import stopping_at_signals
from worker.streams import StreamThreads
from worker.termed import Termed
from worker.watchdog import Watchdog

WAIT_SECONDS = 5.0
"""How long an idle worker waits in one call; messages end the wait at once, and so does ``stop``."""


class Routed:
    """What a worker receives on, worked out once for each router.

    Arguments:
        router: whose channels they are.
        channels: those that this worker takes messages from.
        wake_channel: what ``Worker.wake`` sends to.
    """

    def __init__(self, router: Router, channels: list[str], wake_channel: str) -> None:
        self.router = router
        self.channels = channels
        self.and_wake_channel = [*channels, wake_channel]


class Worker(Termed):
    """Runs consumers, one message at a time, until it is stopped.

    Arguments:
        channel_layer: of ``channel_layers``, with its router.
        callback: called with the channel's name and the ``Message`` before each consumer.
        message_retries: how often ``ConsumeLater`` may put a message back.
        only_channels: globs; channels that match none of them are left to other workers.
        exclude_channels: globs; channels that match one of them are left to other workers.
        signal_handlers: let ``run`` stop at SIGTERM and SIGINT; only where it is called in the main thread.
        watchdog: is told when messages wait behind the one that runs.
        streams: gives answers that last; without it they keep this worker until they have come to their end.
    """

    def __init__(
        self,
        channel_layer: ChannelLayerWrapper,
        callback: Callable[[str, Message], None] | None = None,
        message_retries: int = 10,
        only_channels: Iterable[str] | None = None,
        exclude_channels: Iterable[str] | None = None,
        signal_handlers: bool = True,
        watchdog: Watchdog | None = None,
        streams: StreamThreads | None = None,
    ) -> None:
        super().__init__()
        self.channel_layer = channel_layer
        self.signal_handlers = signal_handlers
        self.callback = callback
        self.message_retries = message_retries
        self.only_channels = list(only_channels or ())
        self.exclude_channels = list(exclude_channels or ())
        # Without a layer it cannot run, but its filters can be looked at.
        self._layer: BaseChannelLayer = getattr(channel_layer, "channel_layer", None)  # type: ignore[assignment]
        self._in_hand = InHand(self._layer)
        self._senders = Senders(self._layer)
        self._pace = Pace()
        self._backoff = Backoff()
        self._losses: int = getattr(self._layer, "losses", 0)
        self._watchdog = watchdog
        self._hand_over = None if streams is None else streams.start
        self._is_ready = False
        self._hurried = False
        self._wake_channel = f"worker.{random_part()}!"
        self._routed: Routed | None = None

    def ready(self) -> None:
        """Send ``worker_ready``, once; ``run`` does it if nobody has."""
        if not self._is_ready:
            self._is_ready = True
            worker_ready.send(sender=self)

    def run(self) -> None:
        """Work until ``stop`` is called; what runs then is finished, what was not started is given back.

        Raises:
            KeyboardInterrupt: it came to this thread, without ``signal_handlers``. The consumer that ran has
                failed; all else ends as usual.
        """
        with stopping_at_signals(self.stop) if self.signal_handlers else nullcontext():
            self._run()

    def _run(self) -> None:
        self.ready()
        try:
            while not self.termed:
                batch = self._send_and_receive()
                some_wait = self._in_hand.take(batch)
                if some_wait and self._watchdog is not None:
                    self._watchdog.wake()
                while not self._stopping.is_set() and (received := self._in_hand.start_next()):
                    self._run_consumer(received)
        finally:
            self._in_hand.rest()
            self._finish()

    def stop(self) -> None:
        """Make ``run`` return as soon as the consumer that runs has finished. Any thread may call this."""
        self._stopping.set()
        self.wake()

    @property
    def in_job(self) -> bool:
        """Whether a consumer is running."""
        return self._in_hand.running is not None

    def stop_without_waking(self) -> None:
        """As ``stop``, for a caller who must not wait for the layer; ``wake`` has to follow in another thread."""
        self._stopping.set()

    def wake(self) -> None:
        """Make ``run`` look at once whether it has to stop, or has another router. Any thread may call this."""
        try:
            self._layer.send_batch([self._layer.prepare(f"{self._wake_channel}wake", {})])
        except LayerUnavailable:
            pass  # then the worker is not waiting for messages, and looks by itself

    def hurry(self) -> None:
        """Let ``run`` end without waiting for what is away or full. A signal handler may call this."""
        self._hurried = True

    def relieve(self, patience: float) -> bool:
        """Let nothing wait behind a consumer that has been running for more than ``patience`` seconds.

        What it has not started goes back to the layer for other workers, what earlier consumers sent goes out.

        Returns:
            Whether it works off a batch still, and has to be looked after again.
        """
        return self._in_hand.relieve(patience, self._senders.own.flush)

    @property
    def running_since(self) -> float | None:
        """When the consumer that is running began, by ``time.monotonic``; ``None`` if none is running."""
        running = self._in_hand.running
        return None if running is None else running.since

    def running(self) -> str | None:
        """The consumer that is running, its channel, and for how long, as a text; ``None`` if none is running."""
        running = self._in_hand.running
        if running is None:
            return None
        received, since = running
        match = self.channel_layer.router.match(self._message(received))
        consumer = name_of(match[0]) if match else "no consumer"
        where = " ".join([received.channel, *filter(None, [received.content.get("path")])])
        return f"{where} ({consumer}), for {time.monotonic() - since:.0f} s"

    def channels(self) -> list[str]:
        """The channels of the routing that this worker takes messages from, sorted."""
        return self.apply_channel_filters(sorted(self.channel_layer.router.channels))

    def apply_channel_filters(self, channels: Iterable[str]) -> list[str]:
        """Those of ``channels`` that ``only_channels`` and ``exclude_channels`` leave."""

        def any_matches(patterns: list[str], channel: str) -> bool:
            return any(fnmatch.fnmatchcase(channel, pattern) for pattern in patterns)

        return [
            channel
            for channel in channels
            if (not self.only_channels or any_matches(self.only_channels, channel))
            and not any_matches(self.exclude_channels, channel)
        ]

    def _send_and_receive(self) -> list[Received]:
        """Send what the consumers sent, and take the next messages; wait for them if there are none."""
        if self._routed is None or self._routed.router is not self.channel_layer.router:
            self._routed = Routed(self.channel_layer.router, self.channels(), self._wake_channel)
        limit = self._pace.limit()
        if self._backoff.failures or self._layer.losses != self._losses:
            self._losses = self._layer.losses
            self._senders.own.repeat_ends()
        try:
            batch = self._senders.flush_and_receive(self._routed.channels, limit)
            if not batch:
                timeout = RETRY_PAUSE if self._senders.retrying else WAIT_SECONDS
                batch = self._layer.receive_batch(self._routed.and_wake_channel, limit, timeout)
        except LayerUnavailable as error:
            self._wait_out(error, self._backoff)
            return error.received
        if self._backoff.succeed():
            log_return(self._layer)
        return batch

    def _run_consumer(self, received: Received) -> None:
        if received.channel.startswith(self._wake_channel):
            return
        started = time.monotonic()
        pending = PendingSends(self._senders.own.settle_turn, self._wait_out, self._hand_over)
        try:
            message = self._message(received)
            if self.callback is not None:
                self.callback(received.channel, message)
            before_consumer()
            consume(message, self.channel_layer.router, self.message_retries, sender=type(self), pending=pending)
            after_consumer(received.channel)
        except KeyboardInterrupt:
            raise
        except BaseException:
            # Not the consumer's, which is dealt with in consume: something is wrong with the message itself.
            logger.exception("A message on %r could not be handled and was dropped:", received.channel)
        finally:
            self._senders.add(pending.deliveries)
            self._pace.note(time.monotonic() - started)

    def _message(self, received: Received) -> Message:
        layer: Any = self.channel_layer
        return Message(received.content, received.channel, layer)

    def _wait_out(self, error: LayerUnavailable, backoff: Backoff) -> bool:
        pause = backoff.fail()
        if backoff.is_news:
            log_outage(self._layer, error)
        if error.received:
            return True  # there is work, and to take it may be what helps a Redis that is full
        return not self._stopping.wait(pause)

    def _finish(self) -> None:
        """Give back what was not started, send what was sent, and wait a while for a layer that is away."""
        give_up_at = time.monotonic() + OUTAGE_SECONDS
        backoff = Backoff()
        trouble: LayerUnavailable | None = None
        try:
            while True:
                try:
                    self._senders.flush_others()
                    self._in_hand.give_back()
                    self._senders.own.flush()
                    trouble = None
                except LayerUnavailable as error:
                    trouble = error
                if not self._in_hand.waiting and not self._senders.retrying:
                    return
                if trouble is not None and not backoff.failures:
                    logger.error("The worker has to wait for the channel layer before it can end. %s", trouble)
                away = trouble is not None or self._senders.others_unreachable
                pause = backoff.fail() if away else RETRY_PAUSE
                if self._hurried or time.monotonic() + pause > give_up_at:
                    return
                time.sleep(pause)
        finally:
            self._tell_what_is_lost(trouble)

    def _tell_what_is_lost(self, trouble: LayerUnavailable | None) -> None:
        unsent = sum(sender.unsent for sender in self._senders)
        open_turns = sum(sender.open_turns for sender in self._senders)
        if self._in_hand.waiting or unsent or open_turns:
            logger.error(
                "Lost at the end of a worker: %d messages that it had not started, %d that consumers had sent, "
                "the ends of %d turns. %s",
                self._in_hand.waiting,
                unsent,
                open_turns,
                trouble or "A channel stayed full, or another layer away.",
            )
