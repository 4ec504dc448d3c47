"""``DelayedMessage``: a message that waits in the database until it is due."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any, Self

from django.db import models, transaction
from django.utils import timezone

from channels_classic import DEFAULT_CHANNEL_LAYER, channel_layers
from channels_classic.layers import BaseChannelLayer, Delivery, codec

REQUEUE_DELAY = 1000
"""Milliseconds until a message that found its channel full is tried again."""

SENDING_SECONDS = 60
"""How long a server may take to send messages. If they are still there afterwards, it did not finish."""

PACKED = "msgpack:"
"""The beginning of stored content that contains ``bytes``, which JSON cannot hold."""


class DelayedMessageQuerySet(models.QuerySet["DelayedMessage"]):
    """Delayed messages."""

    def waiting(self) -> Self:
        """The messages that no server has begun to send."""
        return self.filter(sending_since=None)

    def is_due(self) -> Self:
        """The messages whose time has come, and that no server has begun to send."""
        return self.waiting().filter(due_date__lte=timezone.now())

    def unsure(self) -> Self:
        """The messages that may have been sent or not, because their server was killed or the layer was lost."""
        return self.filter(sending_since__lte=timezone.now() - timedelta(seconds=SENDING_SECONDS))

    def begin_sending(self, limit: int) -> list[DelayedMessage]:
        """Mark messages that are due, the earliest first, as being sent by the caller, and by nobody else.

        The caller deletes them when they are sent, or puts them back by ``wait_again``.

        Arguments:
            limit: the most messages to mark.
        """
        self._for_write = True  # so that a database router returns the database for writing
        with transaction.atomic(using=self.db):
            connection = transaction.get_connection(self.db)
            due = self.is_due().order_by("due_date", "pk")
            if connection.features.has_select_for_update_skip_locked:
                due = due.select_for_update(skip_locked=True)
            else:
                # SQLite locks the whole database for the first writer. If two servers first read and then write,
                # one fails. This write changes nothing, but makes the second server wait.
                self.filter(pk__lt=0).update(channel_name="")
            begun = list(due[:limit])
            if begun:
                mine = self.waiting().filter(pk__in=[message.pk for message in begun])
                if mine.update(sending_since=timezone.now()) != len(begun):
                    # In a database with other locks, another server has begun to send one of them, or has deleted
                    # it.
                    transaction.set_rollback(True, using=self.db)
                    return []
        return begun

    def wait_again(self, delay: float | None = None) -> int:
        """Make these messages wait again, because none of them was sent.

        Arguments:
            delay: milliseconds from now until they are due; by default, they keep their time.

        Returns:
            The number of messages.
        """
        if delay is None:
            return self.update(sending_since=None)
        return self.update(sending_since=None, due_date=timezone.now() + timedelta(milliseconds=delay))


class DelayedMessage(models.Model):
    """A message that waits for its time.

    Arguments:
        delay: milliseconds from now until it is due; instead of ``due_date``.
    """

    due_date = models.DateTimeField(db_index=True)
    channel_name = models.CharField(max_length=512)
    content = models.TextField()
    sending_since = models.DateTimeField(null=True, blank=True, editable=False, db_index=True)

    objects = DelayedMessageQuerySet.as_manager()

    class Meta:
        """The options of the model."""

        app_label = "delay"

    def __init__(self, *args: Any, delay: float | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if delay is not None:
            self.delay = delay

    def __str__(self) -> str:
        return f"for {self.channel_name!r}, due {self.due_date}"

    @property
    def delay(self) -> float:
        """Milliseconds from now until it is due; setting it sets ``due_date``."""
        return (self.due_date - timezone.now()) / timedelta(milliseconds=1)

    @delay.setter
    def delay(self, milliseconds: float) -> None:
        self.due_date = timezone.now() + timedelta(milliseconds=milliseconds)

    def delivery(self, layer: BaseChannelLayer) -> Delivery:
        """The message, ready to be sent.

        Raises:
            MessageTooLarge, TypeError: ``layer`` does not accept it.
            ValueError: the content is not a message.
        """
        return layer.prepare(self.channel_name, load_content(self.content))

    def send(self, channel_layer: Any = None, requeue_delay: float = REQUEUE_DELAY) -> None:
        """Send the message now and delete it. If its channel is full, postpone it.

        Arguments:
            channel_layer: by default, the default layer.
            requeue_delay: milliseconds by which it is postponed.
        """
        layer = channel_layer or channel_layers[DEFAULT_CHANNEL_LAYER]
        try:
            layer.send_now(self.delivery(layer))
        except layer.ChannelFull:
            self.delay = requeue_delay
            self.save()
        else:
            self.delete()


def dump_content(content: dict[str, Any]) -> str:
    """The content of a message as text for the database: JSON, unless it contains ``bytes``."""
    try:
        return json.dumps(content)
    except TypeError:
        return PACKED + base64.b64encode(codec.pack(content)).decode("ascii")


def load_content(text: str) -> dict[str, Any]:
    """The content that was stored.

    Raises:
        ValueError: the text is not that of a message.
    """
    if text.startswith(PACKED):
        return codec.unpack(base64.b64decode(text.removeprefix(PACKED)))
    content: dict[str, Any] = json.loads(text)
    return content
