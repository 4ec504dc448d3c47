"""``ViewConsumer``: the consumer that answers HTTP requests with Django's views (specification, section 9)."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Any

from channels_classic.channel import Channel
from channels_classic.http.handler import AsgiHandler, Reply
from channels_classic.layers.gone import is_gone
from channels_classic.message import Message

SHORTEST_PAUSE = 0.005
LONGEST_PAUSE = 0.2
"""Seconds between two tries to send to a full channel; each pause is twice the one before."""

LOOK_SECONDS = 1.0
"""After so long, and again and again, an answer in parts looks whether its client is still there."""


class ViewConsumer:
    """The consumer that answers ``http.request`` with Django's views.

    Its handler is made for the first message, when settings and apps are sure to be there, and kept.
    """

    handler_class: type[AsgiHandler] = AsgiHandler

    send_timeout: float = 60
    """Seconds for which a message is tried again while the reply channel is full."""

    def __init__(self) -> None:
        self._handler: AsgiHandler | None = None
        self._lock = threading.Lock()

    @property
    def handler(self) -> AsgiHandler:
        """The handler that all messages go through."""
        if self._handler is None:
            with self._lock:
                if self._handler is None:
                    self._handler = self.handler_class()
        return self._handler

    def __call__(self, message: Message, **kwargs: Any) -> None:
        """Answer ``message``, to its end or until the client is gone.

        Arguments:
            kwargs: named groups of the route's filters, which views have no use for.

        Raises:
            ChannelFull: the reply channel has been full for ``send_timeout`` seconds.
            ValueError: the message has no reply channel.
        """
        reply_channel = message.reply_channel
        if reply_channel is None:
            raise ValueError(f"An http.request is answered on its reply_channel, but here is none: {message!r}")
        replies = self.handler(message)
        in_parts = False
        next_look = time.monotonic() + LOOK_SECONDS
        try:
            for reply in replies:
                # An answer of one message can leave together with what else the worker sends. One of several
                # must not: it would pile up in memory, and a stream would come all at once.
                in_parts = in_parts or reply["more_content"]
                if in_parts and time.monotonic() >= next_look:
                    if is_gone(reply_channel.channel_layer, reply_channel.name):
                        return
                    next_look = time.monotonic() + LOOK_SECONDS
                self.send(reply_channel, reply, immediately=in_parts)
        except BaseException:
            if in_parts:
                # Too late for an error page. A second status ends the connection, and so the client sees that
                # something is missing, as it would under WSGI.
                with suppress(reply_channel.channel_layer.ChannelFull):
                    reply_channel.send({"status": 500}, immediately=True)
            raise
        finally:
            replies.close()

    def send(self, reply_channel: Channel, reply: Reply, immediately: bool) -> None:
        """Send to the reply channel, and again as long as it is full.

        Raises:
            ChannelFull: it has been full for ``send_timeout`` seconds.
        """
        deadline = time.monotonic() + self.send_timeout
        pause = SHORTEST_PAUSE
        while True:
            try:
                return reply_channel.send_checked(reply, immediately=immediately)
            except reply_channel.channel_layer.ChannelFull:
                if time.monotonic() + pause > deadline:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
