"""The events of a socket on their way to its application."""

from __future__ import annotations

import asyncio
import sys

import pytest

from interface_server.transport.inbox import Inbox


def test_events_come_in_order() -> None:
    async def scenario() -> None:
        inbox = Inbox()
        assert inbox.is_empty
        for number in range(3):
            inbox.put({"type": "event", "number": number})
        assert not inbox.is_empty
        assert [(await inbox.take())["number"] for _ in range(3)] == [0, 1, 2]
        assert inbox.is_empty

    asyncio.run(scenario())


def test_a_receiver_waits_for_the_next_event() -> None:
    async def scenario() -> None:
        inbox = Inbox()
        receiver = asyncio.create_task(inbox.take())
        await asyncio.sleep(0)
        assert not receiver.done()
        inbox.put({"type": "event"})
        assert await receiver == {"type": "event"}

    asyncio.run(scenario())


def test_a_cancelled_receiver_takes_no_event_along() -> None:
    async def scenario() -> None:
        inbox = Inbox()
        for _ in range(100):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(inbox.take(), 0)
        cancelled = asyncio.create_task(inbox.take())
        receiver = asyncio.create_task(inbox.take())
        await asyncio.sleep(0)
        inbox.put({"type": "event"})
        cancelled.cancel()  # it was woken, but has not run
        assert await receiver == {"type": "event"}
        with pytest.raises(asyncio.CancelledError):
            await cancelled

    asyncio.run(scenario())


def test_each_of_several_receivers_gets_one_event() -> None:
    async def scenario() -> None:
        inbox = Inbox()
        receivers = [asyncio.create_task(inbox.take()) for _ in range(5)]
        await asyncio.sleep(0)
        for number in range(5):
            inbox.put({"type": "event", "number": number})
        events = await asyncio.gather(*receivers)
        assert sorted(event["number"] for event in events) == list(range(5))

    asyncio.run(scenario())


def test_it_is_small_while_nothing_happens() -> None:
    async def scenario() -> None:
        inbox = Inbox()
        inbox.put({"type": "websocket.connect"})
        await inbox.take()
        lists = [getattr(inbox, name) for name in Inbox.__slots__]
        assert sum(map(sys.getsizeof, [inbox, *lists])) < 400

    asyncio.run(scenario())
