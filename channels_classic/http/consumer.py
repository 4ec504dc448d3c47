"""``ViewConsumer``: the consumer that answers HTTP requests with Django's views (specification, section 9)."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import Any

from channels_classic import pending
from channels_classic.http.handler import AsgiHandler
from channels_classic.http.replies import NO_THREAD
from channels_classic.http.sending import AnswerSender
from channels_classic.message import Message


class ViewConsumer:
    """The consumer that answers ``http.request`` with Django's views.

    Its handler is made for the first message, when settings and apps are certainly loaded, and kept.

    A view runs in the worker's thread, but this thread never waits for a client. A streaming response is made and
    sent in a thread of its own, and so is the rest of a large response if its client reads too slowly.
    """

    handler_class: type[AsgiHandler] = AsgiHandler

    send_timeout: float = 60
    """Seconds for which a message is tried again while the reply channel is full."""

    def __init__(self) -> None:
        self._handler: AsgiHandler | None = None
        self._lock = threading.Lock()

    @property
    def handler(self) -> AsgiHandler:
        """The handler of all messages."""
        if self._handler is None:
            with self._lock:
                if self._handler is None:
                    self._handler = self.handler_class()
        return self._handler

    def __call__(self, message: Message, **kwargs: Any) -> None:
        """Run the view for ``message``, and answer.

        Arguments:
            kwargs: named groups of the route's filters, which views do not use.

        Raises:
            ChannelFull: the reply channel has been full for ``send_timeout`` seconds.
            ValueError: the message has no reply channel.
        """
        if message.reply_channel is None:
            raise ValueError(f"An http.request needs a reply_channel for its answer, but has none: {message!r}")
        answer = self.handler.answer(message)
        if answer is None:
            return
        sender = AnswerSender(message.reply_channel, answer, self.send_timeout)
        if not answer.streams and sender.send_what_fits():
            return
        what = f"{message.get('method')} {message.get('path')}"
        if pending.hand_over(what, message.reply_channel.name, sender.send_all):
            return
        with closing(answer):
            if sender.has_begun:
                sender.cut()
            else:
                message.reply_channel.send_checked(NO_THREAD)
