"""Writes a line for each consumer that has run: the message, the consumer, and its duration."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from channels_classic.dotted import name_of
from channels_classic.http.consumer import ViewConsumer
from channels_classic.log import logger
from channels_classic.message import Message
from channels_classic.redaction import masked_query
from channels_classic.routing import Router, connect_consumer, null_consumer
from channels_classic.signals import consumer_finished

MAX_QUERIES = 1000
"""The number of sockets whose query strings are remembered. Only the first message of a socket has it."""


class ConsumerLog:
    """Writes a line such as ``websocket.receive /?band=marine → radio.consumers.speak 3 ms``.

    Views are left out, because the access log has lines for them.

    Arguments:
        router: finds the consumer of a message.
        write: called with each line.
    """

    def __init__(self, router: Router, write: Callable[[str], None] = logger.debug) -> None:
        self._router = router
        self._write = write
        self._queries: OrderedDict[str, str] = OrderedDict()
        self._running: ContextVar[tuple[Message, float] | None] = ContextVar("running", default=None)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Write lines while the block runs. ``begin`` has to be the callback of the workers."""
        consumer_finished.connect(self._end, weak=False, dispatch_uid=self)
        try:
            yield
        finally:
            consumer_finished.disconnect(dispatch_uid=self)

    def begin(self, channel: str, message: Message) -> None:
        """Note that a consumer is about to run in a copy of this context."""
        self._running.set((message, time.monotonic()))

    def _end(self, **kwargs: Any) -> None:
        running = self._running.get()
        if running is None:
            return
        self._running.set(None)
        message, started = running
        milliseconds = (time.monotonic() - started) * 1000
        where = "".join([message.get("path", ""), self._query(message)])
        match = self._router.match(message)
        if match is None or isinstance(match[0], ViewConsumer) or match[0] in (connect_consumer, null_consumer):
            return
        parts = [message.channel.name, where, "→", name_of(match[0]), f"{milliseconds:.0f} ms"]
        self._write(" ".join(filter(None, parts)))

    def _query(self, message: Message) -> str:
        client = message.get("reply_channel", "")
        if query := message.get("query_string"):
            text = query.decode("latin-1") if isinstance(query, bytes) else query
            self._queries[client] = f"?{masked_query(text)}"
            if len(self._queries) > MAX_QUERIES:
                self._queries.popitem(last=False)
        known = self._queries.get(client, "")
        if message.channel.name == "websocket.disconnect":
            self._queries.pop(client, None)
        return known
