"""``Goodbyes``: sends every ``websocket.disconnect`` of the process, and counts those that are lost."""

from __future__ import annotations

import asyncio
from typing import Any

from channels_classic.layers import BaseChannelLayer
from channels_classic.layers.types import Client
from channels_classic.log import logger
from interface_server.fair_queue import ClientQueue
from interface_server.outbox import Outbox
from interface_server.outcome import Outcome
from interface_server.reader import Reader

CHANNEL = "websocket.disconnect"

REPORT_SECONDS = 10.0
"""Seconds for which lost goodbyes are counted before the log gives their number."""


class Goodbyes:
    """Sends ``websocket.disconnect`` for sockets that have ended.

    Applications clean up when they get a goodbye: presence, counters, memberships. So it waits for room as long as
    a message lives. The log gives the number of those that are lost all the same.

    Arguments:
        layer: the channel layer.
        outbox: the outbox of the process.
        reader: the reader of the process.
    """

    def __init__(self, layer: BaseChannelLayer, outbox: Outbox, reader: Reader) -> None:
        self._layer = layer
        self._reader = reader
        self._outbox = outbox
        self._loop = asyncio.get_running_loop()
        self._queue = ClientQueue(None, self._settled)
        self._refused = 0
        self._unknown = 0
        self._report_timer: asyncio.TimerHandle | None = None

    def say(self, content: dict[str, Any]) -> None:
        """Send a ``websocket.disconnect``, unless the process has lapsed and the layer has sent it."""
        if not content["reply_channel"].startswith(self._reader.process_channel):
            return
        delivery = self._layer.prepare(CHANNEL, content, checked=True)
        delivery = delivery._replace(client=Client(content["reply_channel"]))
        self._outbox.enqueue(self._queue, delivery, self._layer.expiry)

    def report(self) -> None:
        """Log now how many were lost since the last time."""
        if self._report_timer is not None:
            self._report_timer.cancel()
            self._report_timer = None
        refused, self._refused = self._refused, 0
        unknown, self._unknown = self._unknown, 0
        if refused:
            logger.warning(
                "%d websocket.disconnect messages were given up: their channel was full for %s s. %s",
                refused,
                self._layer.expiry,
                self._layer.full_text(CHANNEL),
            )
        if unknown:
            logger.warning(
                "%d websocket.disconnect messages may be lost: the channel layer went away while it took them.",
                unknown,
            )

    def _settled(self, outcome: Outcome) -> None:
        if outcome is Outcome.TAKEN or not self._outbox.is_open:
            return  # the process ends without the others, and leaves them to other processes
        if outcome is Outcome.REFUSED:
            self._refused += 1
        else:
            self._unknown += 1
        if self._report_timer is None:
            self._report_timer = self._loop.call_later(REPORT_SECONDS, self.report)
