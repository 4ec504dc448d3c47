"""``Worker``: takes messages from a channel layer, runs their consumers, sends what they sent."""

from __future__ import annotations

import fnmatch
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Any

from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.layers import BaseChannelLayer, LayerUnavailable, Received
from channels_classic.layers.names import random_part
from channels_classic.log import logger
from channels_classic.message import Message
from channels_classic.pending import PendingSends
from channels_classic.signals import worker_ready
from worker.connections import after_consumer, before_consumer
from worker.consume import consume
from worker.outbox import OUTAGE_SECONDS, RETRY_PAUSE, Outbox
from worker.signals import stopping_at_signals

BATCH_SECONDS = 0.002
"""How much work a worker takes at once: what it can start this soon, by what consumers took of late.

More would hoard what another worker could run; less would pay a trip to the layer for every message.
"""

BATCH_LIMIT = 64
"""How many messages a worker takes at once at the most."""

WAIT_SECONDS = 5.0
"""How long an idle worker waits in one call; messages end the wait at once, and so does ``stop``."""

BACKOFF_SECONDS = (0.1, 5.0)
"""The shortest and the longest pause before an unreachable layer is tried again."""

LONGEST_PAUSE_AT_END = 0.5
"""The longest such pause when the worker ends: who tells it to hurry does not wait for longer."""


class Worker:
    """Runs consumers, one message at a time, until it is stopped.

    Arguments:
        channel_layer: of ``channel_layers``, with its router.
        callback: called with the channel's name and the ``Message`` before each consumer.
        message_retries: how often ``ConsumeLater`` may put a message back.
        only_channels: globs; channels that match none of them are left to other workers.
        exclude_channels: globs; channels that match one of them are left to other workers.
        signal_handlers: let ``run`` stop at SIGTERM and SIGINT; only where it is called in the main thread.
    """

    def __init__(
        self,
        channel_layer: ChannelLayerWrapper,
        callback: Callable[[str, Message], None] | None = None,
        message_retries: int = 10,
        only_channels: Iterable[str] | None = None,
        exclude_channels: Iterable[str] | None = None,
        signal_handlers: bool = True,
    ) -> None:
        self.channel_layer = channel_layer
        self.signal_handlers = signal_handlers
        self.callback = callback
        self.message_retries = message_retries
        self.only_channels = list(only_channels or ())
        self.exclude_channels = list(exclude_channels or ())
        self.started_batch: Callable[[], None] = lambda: None
        """Called when messages wait behind the one that runs: somebody should ``relieve`` in a while."""
        # Without a layer it cannot run, but its filters can be looked at.
        self._layer: BaseChannelLayer = getattr(channel_layer, "channel_layer", None)  # type: ignore[assignment]
        self._outbox = Outbox(self._layer)
        self._other_outboxes: dict[BaseChannelLayer, Outbox] = {}
        self._unreachable: set[Outbox] = set()
        self._stopping = threading.Event()
        self._hurried = False
        self._own_channel = f"worker.{random_part()}!"
        self._lock = threading.Lock()
        self._unstarted: deque[Received] = deque()
        self._running_since: float | None = None
        self._in_batch = False
        self._relief_failed = False
        self._seconds_per_message = BATCH_SECONDS

    def channels(self) -> list[str]:
        """The channels of the routing that this worker takes messages from, sorted."""
        return self.apply_channel_filters(sorted(self.channel_layer.router.channels))

    @property
    def termed(self) -> bool:
        """Whether ``run`` has to end. To set it is to call ``stop``."""
        return self._stopping.is_set()

    @termed.setter
    def termed(self, value: bool) -> None:
        if value:
            self.stop()

    @property
    def in_job(self) -> bool:
        """Whether a consumer is running."""
        return self._running_since is not None

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

    def run(self) -> None:
        """Work until ``stop`` is called; what runs then is finished, what was not started is given back.

        Raises:
            KeyboardInterrupt: it came to this thread, without ``signal_handlers``. The consumer that ran has
                failed; all else ends as ever.
        """
        with stopping_at_signals(self.stop) if self.signal_handlers else nullcontext():
            self._run()

    def _run(self) -> None:
        worker_ready.send(sender=self)
        router = None
        channels: list[str] = []
        failures = 0
        try:
            while not self.termed:
                if router is not self.channel_layer.router:
                    router, channels = self.channel_layer.router, self.channels()
                    # Not sent over, but woken by: see wake.
                    waiting_on = [*channels, self._own_channel]
                self._flush_others()
                try:
                    batch = self._outbox.flush_and_receive(channels, self._limit()) if channels else []
                    if not batch:
                        timeout = RETRY_PAUSE if self._retrying else WAIT_SECONDS
                        batch = self._layer.receive_batch(waiting_on, self._limit(), timeout)
                    if failures:
                        logger.warning("The channel layer is back.")
                    failures = 0
                except LayerUnavailable as error:
                    failures += 1
                    self._wait_out(error, failures)
                    batch = error.received
                self._work_off(batch)
        finally:
            self._finish()

    def stop(self) -> None:
        """Make ``run`` return as soon as the consumer that runs has finished. Any thread may call this."""
        self._stopping.set()
        self.wake()

    def wake(self) -> None:
        """Make ``run`` look at once whether it has to stop, or has another router. Any thread may call this."""
        try:
            self._layer.send_batch([self._layer.prepare(f"{self._own_channel}wake", {})])
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
        # Held to the end: the worker must not take newer messages, nor come to its end, before these are back.
        with self._lock:
            if self._running_since is None or time.monotonic() - self._running_since < patience:
                return self._in_batch
            try:
                self._outbox.flush()
                self._give_back()
            except LayerUnavailable as error:
                if not self._relief_failed:
                    logger.error("What waits behind a consumer cannot be given back; trying again. %s", error)
                self._relief_failed = self._in_batch = True
                return True
            self._in_batch = False
            return False

    def _limit(self) -> int:
        return max(1, min(BATCH_LIMIT, int(BATCH_SECONDS / self._seconds_per_message)))

    def _work_off(self, batch: list[Received]) -> None:
        self._unstarted.extend(batch)
        self._relief_failed = False
        if len(batch) > 1:
            self._in_batch = True
            self.started_batch()
        while True:
            with self._lock:
                if not self._unstarted or self._stopping.is_set():
                    self._running_since = None
                    self._in_batch = False
                    return
                received = self._unstarted.popleft()
                self._running_since = started = time.monotonic()
            if not received.channel.startswith(self._own_channel):
                self._consume(received)
                took = time.monotonic() - started
                self._seconds_per_message += (took - self._seconds_per_message) * 0.1

    def _consume(self, received: Received) -> None:
        pending = PendingSends(self._outbox.settle_turn, self._wait_out)
        try:
            message = Message(received.content, received.channel, self.channel_layer)  # type: ignore[arg-type]
            if self.callback is not None:
                self.callback(received.channel, message)
            before_consumer()
            consume(message, self.channel_layer.router, self.message_retries, sender=type(self), pending=pending)
            after_consumer()
        except KeyboardInterrupt:
            raise
        except BaseException:
            # Not the consumer, which is dealt with there: something is wrong with the message itself.
            logger.exception("A message on %r could not be handled and was dropped:", received.channel)
        finally:
            self._add(pending)

    def _add(self, pending: PendingSends) -> None:
        own = []
        for layer, delivery in pending.deliveries:
            outbox = self._outbox_of(layer)
            if outbox is self._outbox:
                own.append(delivery)
            else:
                outbox.add(delivery)
        self._flush_others()
        if own:
            self._outbox.add(*own)

    def _outbox_of(self, layer: Any) -> Outbox:
        if layer is self.channel_layer or layer is self._layer:
            return self._outbox
        bare = getattr(layer, "channel_layer", layer)
        if bare not in self._other_outboxes:
            self._other_outboxes[bare] = Outbox(bare)
        return self._other_outboxes[bare]

    @property
    def _retrying(self) -> bool:
        return self._outbox.retrying or any(outbox.retrying for outbox in self._other_outboxes.values())

    def _flush_others(self) -> None:
        for outbox in self._other_outboxes.values():
            try:
                outbox.flush()
                self._unreachable.discard(outbox)
            except LayerUnavailable as error:
                if outbox not in self._unreachable:
                    self._unreachable.add(outbox)
                    logger.error("Another channel layer cannot be reached; trying again. %s", error)

    def _wait_out(self, error: LayerUnavailable, failures: int) -> bool:
        if failures == 1 or failures % 10 == 0:
            logger.error("The channel layer cannot be reached; trying again. %s", error)
        if error.received:
            return True  # there is work, and to take it may be what helps a Redis that is full
        return not self._stopping.wait(_pause_after(failures, BACKOFF_SECONDS[1]))

    def _give_back(self) -> None:
        """Give back what was not started.

        Raises:
            LayerUnavailable: it is here still.
        """
        if not self._unstarted:
            return
        try:
            self._layer.give_back(list(self._unstarted))
        except LayerUnavailable as error:
            if error.nothing_done:
                raise
            # It may be back: to try again could make others run it twice.
            logger.error("%d messages were lost with the channel layer. %s", len(self._unstarted), error)
        self._unstarted.clear()

    def _finish(self) -> None:
        with self._lock:
            self._running_since = None  # nothing to be relieved of from here on
            self._in_batch = False
        give_up_at = time.monotonic() + OUTAGE_SECONDS
        failures = 0
        trouble: LayerUnavailable | None = None
        try:
            while True:
                try:
                    self._flush_others()
                    self._give_back()
                    self._outbox.flush()
                    trouble = None
                except LayerUnavailable as error:
                    trouble = error
                if not self._unstarted and not self._retrying:
                    return
                if trouble is not None and not failures:
                    logger.error("The worker has to wait for the channel layer before it can end. %s", trouble)
                away = trouble is not None or self._unreachable
                failures = failures + 1 if away else 0
                pause = _pause_after(failures, LONGEST_PAUSE_AT_END) if away else RETRY_PAUSE
                if self._hurried or time.monotonic() + pause > give_up_at:
                    return
                time.sleep(pause)
        finally:
            self._tell_what_is_lost(trouble)

    def _tell_what_is_lost(self, trouble: LayerUnavailable | None) -> None:
        outboxes = [self._outbox, *self._other_outboxes.values()]
        unsent = sum(outbox.unsent for outbox in outboxes)
        open_turns = sum(outbox.open_turns for outbox in outboxes)
        if self._unstarted or unsent or open_turns:
            logger.error(
                "Lost at the end of a worker: %d messages that it had not started, %d that consumers had sent, "
                "the ends of %d turns. %s",
                len(self._unstarted),
                unsent,
                open_turns,
                trouble or "A channel stayed full, or another layer away.",
            )


def _pause_after(failures: int, longest: float) -> float:
    pause: float = min(longest, BACKOFF_SECONDS[0] * 2.0 ** min(failures, 10))
    return pause * random.uniform(0.5, 1)
