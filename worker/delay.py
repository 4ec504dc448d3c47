"""``Worker``, the delay server: stores the messages on ``asgi.delay``, and sends them when they are due.

A server marks a message in the database before it sends it, and deletes it afterwards. So no message is sent
twice, even with several servers. If a server is killed, nobody knows whether the messages that it had marked were
sent. They stay in the table, and the log says so.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Any

from django.db import Error as DatabaseError
from django.db import connections
from django.utils import timezone

from channels_classic.backoff import Backoff
from channels_classic.delay import DELAY_CHANNEL
from channels_classic.delay.models import REQUEUE_DELAY, DelayedMessage, DelayedMessageQuerySet, dump_content
from channels_classic.layers import LayerUnavailable, MessageTooLarge, Received
from channels_classic.layers.codec import check_message
from channels_classic.layers.names import check_channel, random_part
from channels_classic.log import logger
from worker.alarm import Alarm
from worker.signals import stopping_at_signals
from worker.termed import Termed

BATCH_LIMIT = 100
"""How many messages are stored or sent at once, so that there are few queries."""

UNSURE_INTERVAL = 60.0
"""Seconds between two searches for messages that may have been sent or not."""

LONGEST_DELAY = 10 * 365 * 24 * 3600 * 1000
"""Milliseconds: ten years. A longer delay is a mistake, such as a date in place of a delay."""


class Worker(Termed):
    """A delay server.

    Arguments:
        channel_layer: one of ``channel_layers``.
        signal_handlers: whether SIGTERM and SIGINT end ``run``.
        database_sleep_duration: seconds between two looks into the database while this server knows of nothing
            that is due. What others have stored, such as the project itself by ``DelayedMessage.objects.create``,
            is sent by so much later.
        resend: whether to send again what a killed server may have sent, so that messages come twice rather than
            never.
    """

    def __init__(
        self,
        channel_layer: Any,
        signal_handlers: bool = True,
        database_sleep_duration: float = 1.0,
        resend: bool = False,
    ) -> None:
        super().__init__()
        self.channel_layer = channel_layer
        self.signal_handlers = signal_handlers
        self.database_sleep_duration = database_sleep_duration
        self.resend = resend
        self._layer = getattr(channel_layer, "channel_layer", channel_layer)
        self._own_channel = f"delay.{random_part()}!"
        self._backoff = Backoff()
        self._unstored: list[DelayedMessage] = []
        self._sent: list[Any] = []  # the primary keys of messages that were sent and not deleted yet
        self._next_due: datetime | None = None
        self._look_at = 0.0
        self._unsure_at = 0.0
        self._unsure = 0

    def stop(self) -> None:
        """Make ``run`` end when it has stored what it has received. Any thread may call this."""
        self._stopping.set()
        self._wake()

    def run(self) -> None:
        """Receive, store and send messages until ``stop``."""
        self._alarm = Alarm(self._wake)
        self._alarm.start()
        try:
            with stopping_at_signals(self.stop) if self.signal_handlers else nullcontext():
                while not self.termed:
                    self._turn()
                self._finish()
        finally:
            self._alarm.stop()

    def _turn(self) -> None:
        try:
            self._store(self._receive())
            self._delete_sent()
            self._look_for_unsure()
            self._send_due()
        except (LayerUnavailable, DatabaseError) as error:
            self._pause(error)
        else:
            if self._backoff.succeed():
                logger.warning("The delay server works again.")

    def _wake(self) -> None:
        """End the wait in ``_receive``."""
        try:
            self._layer.send_batch([self._layer.prepare(f"{self._own_channel}wake", {})])
        except LayerUnavailable:
            pass  # without the layer it does not wait for messages

    def _receive(self) -> list[Received]:
        if self._unstored:  # what is due goes out before anything new is received
            return []
        until_look = self._look_at - time.monotonic()
        until_due = self._seconds_until_due()
        timeout = 0.0
        if until_due > 0:
            timeout = max(0.0, until_look)
            if until_due < timeout:
                self._alarm.set(until_due)
            else:
                self._alarm.clear()
        batch = self._layer.receive_batch([DELAY_CHANNEL, self._own_channel], BATCH_LIMIT, timeout)
        return [received for received in batch if received.channel == DELAY_CHANNEL]

    def _seconds_until_due(self) -> float:
        return math.inf if self._next_due is None else (self._next_due - timezone.now()).total_seconds()

    def _store(self, batch: Sequence[Received]) -> None:
        now = timezone.now()
        for received in batch:
            try:
                self._unstored.append(_message_of(received.content, now))
            except (TypeError, ValueError) as error:
                logger.error("A message on %r was dropped. %s", DELAY_CHANNEL, error)
        if self._unstored:
            DelayedMessage.objects.bulk_create(self._unstored)
            first = min(message.due_date for message in self._unstored)
            self._next_due = first if self._next_due is None else min(first, self._next_due)
            self._unstored.clear()

    def _send_due(self) -> None:
        if self._seconds_until_due() > 0 and time.monotonic() < self._look_at:
            return
        self._look()
        while self._next_due is not None and self._next_due <= timezone.now() and not self._stopping.is_set():
            begun = DelayedMessage.objects.begin_sending(BATCH_LIMIT)
            self._send(begun)
            if len(begun) < BATCH_LIMIT:  # nothing more is due, or another server has it
                self._look()

    def _look(self) -> None:
        due_dates = DelayedMessage.objects.waiting().order_by("due_date").values_list("due_date", flat=True)
        self._next_due = due_dates.first()
        self._look_at = time.monotonic() + self.database_sleep_duration

    def _send(self, begun: Sequence[DelayedMessage]) -> None:
        messages, deliveries = [], []
        for message in begun:
            try:
                deliveries.append(message.delivery(self._layer))
                messages.append(message)
            except (MessageTooLarge, TypeError, ValueError) as error:
                logger.error("A delayed message %s was dropped, because it cannot be sent. %s", message, error)
                self._sent.append(message.pk)
        try:
            full = self._layer.send_batch(deliveries)
        except LayerUnavailable as error:
            if error.nothing_done:
                _by_key(message.pk for message in messages).wait_again()
            raise  # the others may have been sent, and stay marked
        refused = {messages[position].pk for position in full}
        self._sent += [message.pk for message in messages if message.pk not in refused]
        self._delete_sent()
        if full:
            name = messages[full[0]].channel_name
            logger.warning("%s Delayed messages for it wait for a second.", self._layer.full_text(name))
            _by_key(refused).wait_again(REQUEUE_DELAY)
            self._look()

    def _delete_sent(self) -> None:
        if self._sent:
            _by_key(self._sent).delete()
            self._sent.clear()

    def _look_for_unsure(self) -> None:
        """Send again messages that may have been sent or not, or log that there are some."""
        if time.monotonic() < self._unsure_at:
            return
        unsure = DelayedMessage.objects.unsure()
        if self.resend:
            if number := unsure.wait_again():
                logger.warning("%d delayed messages are sent again, that may have been sent already.", number)
        elif (number := unsure.count()) > self._unsure:
            logger.error(
                "%d delayed messages may have been sent, or may not: their delay server was killed, or lost the "
                "channel layer, while it sent them. They stay in the table, with sending_since set. To send them "
                "again, start 'manage.py rundelay --resend'; to drop them, call "
                "DelayedMessage.objects.unsure().delete().",
                number,
            )
            self._unsure = number
        else:
            self._unsure = number
        self._unsure_at = time.monotonic() + UNSURE_INTERVAL

    def _pause(self, error: Exception) -> None:
        seconds = self._backoff.fail()
        if self._backoff.failures == 1 or self._backoff.failures % 10 == 0:
            logger.error("The delay server cannot work; trying again. %s: %s", type(error).__name__, error)
        close_connections()
        self._look_at = 0.0
        self._stopping.wait(seconds)

    def _finish(self) -> None:
        """Bring the database up to date. What was received and is not stored exists nowhere else."""
        give_up_at = time.monotonic() + 10
        while self._unstored or self._sent:
            try:
                self._store(())
                self._delete_sent()
            except DatabaseError as error:
                if time.monotonic() > give_up_at:
                    logger.error("%d delayed messages were lost with the database. %s", len(self._unstored), error)
                    return
                close_connections()
                time.sleep(self._backoff.fail())


def _by_key(keys: Iterable[Any]) -> DelayedMessageQuerySet:
    return DelayedMessage.objects.filter(pk__in=list(keys))


class DelayThread(threading.Thread):
    """A delay server in a thread of its own, for ``runserver``.

    Arguments:
        channel_layer: one of ``channel_layers``.
    """

    def __init__(self, channel_layer: Any) -> None:
        super().__init__(name="delay", daemon=True)
        self.worker = Worker(channel_layer, signal_handlers=False)

    def run(self) -> None:
        """Work until stopped."""
        try:
            self.worker.run()
        finally:
            connections.close_all()

    def stop(self, timeout: float) -> None:
        """End the delay server, and wait for that up to ``timeout`` seconds."""
        self.worker.stop()
        self.join(timeout)


def close_connections() -> None:
    """Close the database connections, because one may be broken, except those with a transaction of a test.

    Otherwise the connections stay open as long as they work, because this server would need new ones every second.
    """
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()


def _message_of(content: dict[str, Any], now: datetime) -> DelayedMessage:
    """Make the row to store for a message on ``asgi.delay``.

    Raises:
        TypeError, ValueError: the message has another form.
    """
    missing = [repr(key) for key in ("channel", "delay", "content") if key not in content]
    if missing:
        raise ValueError(f"It must have 'channel', 'delay' and 'content', but lacks {', '.join(missing)}.")
    delay = content["delay"]
    if isinstance(delay, bool) or not isinstance(delay, (int, float)) or not 0 <= delay <= LONGEST_DELAY:
        raise ValueError(
            f"Its 'delay' must be a number of milliseconds, up to {LONGEST_DELAY}, not {delay!r:.100}."
        )
    check_channel(content["channel"])
    check_message(content["content"])
    return DelayedMessage(
        due_date=now + timedelta(milliseconds=delay),
        channel_name=content["channel"],
        content=dump_content(content["content"]),
    )
