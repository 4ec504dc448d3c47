"""A long body on its way to the worker: in parts on a body channel, few at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from channels_classic.backoff import Backoff
from channels_classic.layers import BaseChannelLayer
from interface_server import messages
from interface_server.outbox import Outbox
from interface_server.outcome import Outcome
from interface_server.spool import Spool

PART = 256 * 1024
"""Bytes of one message on a body channel, at most."""

FULL_PAUSE = (0.004, 0.2)
"""The shortest and the longest pause, in seconds, before a full body channel is tried again."""


class Upload:
    """Sends what is in a spool on a body channel.

    Arguments:
        layer: where the channel is.
        outbox: the way to it.
        body: the spool.
        channel: a single-reader channel (specification, section 2).
        progressed: called when the layer has taken a part.
    """

    def __init__(
        self, layer: BaseChannelLayer, outbox: Outbox, body: Spool, channel: str, progressed: Callable[[], None]
    ) -> None:
        self._layer = layer
        self._outbox = outbox
        self._body = body
        self._channel = channel
        self._progressed = progressed

    async def run(self) -> bool:
        """Send everything, and return whether it surely arrived.

        Raises:
            OSError: what is in a temporary file cannot be read.
        """
        while part := await self._body.take():
            for start in range(0, len(part), PART):
                more = bool(self._body.size) or start + PART < len(part)
                if not await self._send(messages.http_request_body(part[start : start + PART], more)):
                    return False
                self._progressed()
        return True

    async def abandon(self) -> None:
        """Tell the reader of the channel that nothing more comes, as soon as there is room."""
        try:
            async with asyncio.timeout(self._layer.expiry):
                while not await self._send(messages.http_request_body_closed()):
                    pass  # said twice is better than not at all
        except TimeoutError:
            pass  # nobody reads it, and the messages in it have expired by now

    async def _send(self, content: dict[str, Any]) -> bool:
        """Send a message as soon as there is room, and return whether it surely arrived."""
        delivery = self._layer.prepare(self._channel, content, checked=True)
        full = Backoff(*FULL_PAUSE)
        outcome = await self._outbox.send(delivery)
        while outcome is Outcome.REFUSED:
            await asyncio.sleep(full.fail())
            outcome = await self._outbox.send(delivery)
        return outcome is Outcome.TAKEN
