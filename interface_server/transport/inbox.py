"""``Inbox``: the events that an application has not received yet."""

from __future__ import annotations

import asyncio

from interface_server.asgi_types import Event


class Inbox:
    """The events for one application, in order.

    There is one for each socket, so it is small while nothing happens: an ``asyncio.Queue`` takes 3 KiB.
    """

    __slots__ = ("_events", "_receivers")

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._receivers: list[asyncio.Future[None]] = []

    @property
    def is_empty(self) -> bool:
        """Whether no event waits."""
        return not self._events

    def put(self, event: Event) -> None:
        """Add an event."""
        self._events.append(event)
        for receiver in self._receivers:
            if not receiver.done():
                receiver.set_result(None)

    async def take(self) -> Event:
        """Take the next event. Waits for one."""
        while not self._events:
            receiver = asyncio.get_running_loop().create_future()
            self._receivers.append(receiver)
            try:
                await receiver
            finally:
                self._receivers.remove(receiver)
        return self._events.pop(0)
