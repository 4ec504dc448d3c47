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
"""How long a server may take to send messages. If they are still there afterwards, it did not come to its end."""

PACKED = "msgpack:"
"""What stored content begins with that JSON cannot hold, because there are ``bytes`` in it."""


class DelayedMessageQuerySet(models.QuerySet["DelayedMessage"]):
    """Delayed messages."""

    def waiting(self) -> Self:
        """Those that no server has begun to send."""
        return self.filter(sending_since=None)

    def is_due(self) -> Self:
        """Those whose time has come, and that no server has begun to send."""
        return self.waiting().filter(due_date__lte=timezone.now())

    def unsure(self) -> Self:
        """Those that may have been sent, or may not: their server has been killed meanwhile, or the layer lost."""
        return self.filter(sending_since__lte=timezone.now() - timedelta(seconds=SENDING_SECONDS))

    def begin_sending(self, limit: int) -> list[DelayedMessage]:
        """Mark messages that are due, the earliest first, as being sent by the caller, and by nobody else.

        The caller deletes them when they are sent, or puts them back by ``wait_again``.

        Arguments:
            limit: how many at most.
        """
        self._for_write = True  # so that a database router gives the database that can be written to
        with transaction.atomic(using=self.db):
            connection = transaction.get_connection(self.db)
            due = self.is_due().order_by("due_date", "pk")
            if connection.features.has_select_for_update_skip_locked:
                due = due.select_for_update(skip_locked=True)
            else:
                # SQLite locks the database as a whole, for the first who writes. To read first and write then
                # would fail where two do the same; so this, which changes nothing, makes the second one wait.
                self.filter(pk__lt=0).update(channel_name="")
            begun = list(due[:limit])
            if begun:
                mine = self.waiting().filter(pk__in=[message.pk for message in begun])
                if mine.update(sending_since=timezone.now()) != len(begun):
                    # A database that locks otherwise: somebody else has begun to send one, or deleted it.
                    transaction.set_rollback(True, using=self.db)
                    return []
        return begun

    def wait_again(self, delay: float | None = None) -> int:
        """Let these messages wait again, as none of them was sent.

        Arguments:
            delay: milliseconds from now until they are due; if not given, when they were before.

        Returns:
            How many there are.
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
        """Whose table it is."""

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
            MessageTooLarge, TypeError: it is one that ``layer`` does not carry.
            ValueError: the content is not that of a message.
        """
        return layer.prepare(self.channel_name, load_content(self.content))

    def send(self, channel_layer: Any = None, requeue_delay: float = REQUEUE_DELAY) -> None:
        """Send the message now and delete it; or put it off, if its channel is full.

        Arguments:
            channel_layer: the default one, if not given.
            requeue_delay: milliseconds by which it is put off.
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
    """The content of a message as the text that is stored: JSON, unless there are ``bytes`` in it."""
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
