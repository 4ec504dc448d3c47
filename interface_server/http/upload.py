"""Sends a long body to the worker: in parts on a body channel, a few at a time."""

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
"""The most bytes in one message on a body channel."""

FULL_PAUSE = (0.004, 0.2)
"""The shortest and the longest pause, in seconds, before a full body channel is tried again."""


class Upload:
    """Sends what is in a spool on a body channel.

    Arguments:
        layer: the channel layer.
        outbox: the outbox of the process.
        body: the spool with the body.
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
        """Send everything. Returns whether it certainly arrived.

        Raises:
            OSError: the temporary file cannot be read.
        """
        while part := await self._body.take():
            for start in range(0, len(part), PART):
                more = bool(self._body.size) or start + PART < len(part)
                if not await self._send(messages.http_request_body(part[start : start + PART], more)):
                    return False
                self._progressed()
        return True

    async def abandon(self) -> None:
        """Tell the reader of the channel, as soon as there is room, that nothing more comes."""
        try:
            async with asyncio.timeout(self._layer.expiry):
                while not await self._send(messages.http_request_body_closed()):
                    pass  # two such messages are better than none
        except TimeoutError:
            pass  # nobody reads the channel, and its messages have expired by now

    async def _send(self, content: dict[str, Any]) -> bool:
        """Send a message as soon as there is room. Returns whether it certainly arrived."""
        delivery = self._layer.prepare(self._channel, content, checked=True)
        full = Backoff(*FULL_PAUSE)
        outcome = await self._outbox.send(delivery)
        while outcome is Outcome.REFUSED:
            await asyncio.sleep(full.fail())
            outcome = await self._outbox.send(delivery)
        return outcome is Outcome.TAKEN
