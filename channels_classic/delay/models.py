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

PACKED = "msgpack:"
"""What stored content begins with that JSON cannot hold, because there are ``bytes`` in it."""


class DelayedMessageQuerySet(models.QuerySet["DelayedMessage"]):
    """Delayed messages."""

    def is_due(self) -> Self:
        """Those whose time has come."""
        return self.filter(due_date__lte=timezone.now())

    def take_due(self, limit: int) -> list[DelayedMessage]:
        """Delete messages that are due, the earliest first, and give them to the caller, and to nobody else.

        Arguments:
            limit: how many at most.
        """
        self._for_write = True  # so that a database router gives the database that can be written to
        with transaction.atomic(using=self.db):
            connection = transaction.get_connection(self.db)
            waiting = self.is_due().order_by("due_date", "pk")
            if connection.features.has_select_for_update_skip_locked:
                waiting = waiting.select_for_update(skip_locked=True)
            else:
                # SQLite locks the database as a whole, for the first who writes. To read first and write then
                # would fail where two do the same; so this, which changes nothing, makes the second one wait.
                self.filter(pk__lt=0).update(channel_name="")
            taken = list(waiting[:limit])
            if taken:
                deleted, _ = self.filter(pk__in=[message.pk for message in taken]).delete()
                if deleted != len(taken):  # a database that locks otherwise: somebody else has deleted one
                    transaction.set_rollback(True, using=self.db)
                    return []
        return taken


class DelayedMessage(models.Model):
    """A message that waits for its time.

    Arguments:
        delay: milliseconds from now until it is due; instead of ``due_date``.
    """

    due_date = models.DateTimeField(db_index=True)
    channel_name = models.CharField(max_length=512)
    content = models.TextField()

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
