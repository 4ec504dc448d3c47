"""The backlog of an answer: a client gets all of it in order at any speed, and its sender waits meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interface_server.asgi_types import Event
from interface_server.flow import Flow
from interface_server.http import backlog as backlog_module
from interface_server.http.backlog import Backlog
from interface_server.spool import PIECE, Storage
from tests.interface_server.loops import until

START = {"type": "http.response.start", "status": 200, "headers": []}


class SlowConnection:
    """Takes ``window`` bytes, and nothing more until the window is renewed."""

    def __init__(self) -> None:
        self.window = 0
        self.events: list[Event] = []

    @property
    def is_writable(self) -> bool:
        return self.window > 0

    def send(self, events: Sequence[Event]) -> None:
        assert self.is_writable
        self.events += events
        self.window -= sum(len(event.get("body", b"")) for event in events)

    @property
    def content(self) -> bytes:
        return b"".join(event["body"] for event in self.events if event["type"] == "http.response.body")


class Switch:
    """Knows whether the channel is paused."""

    is_paused = False

    def pause(self, reply_channel: str) -> None:
        self.is_paused = True

    def resume(self, reply_channel: str) -> None:
        self.is_paused = False


def body(content: bytes, more: bool) -> Event:
    return {"type": "http.response.body", "body": content, "more_body": more}


steps = st.lists(
    st.tuples(st.just("put"), st.sampled_from([0, 1, 1000, PIECE, 3 * PIECE]))
    | st.tuples(st.just("read"), st.sampled_from([1, 1000, PIECE, 10 * PIECE]))
    | st.tuples(st.just("wait"), st.just(0)),
    max_size=20,
)


@given(steps, st.sampled_from([0, 1000, 2 * PIECE]))
def test_any_order_of_events(taken: list[tuple[str, int]], memory: int) -> None:
    async def main() -> None:
        connection, storage = SlowConnection(), Storage(2**30, memory)
        emptied: list[bool] = []

        def fail(error: OSError) -> None:
            raise AssertionError from error

        flow: Any = Switch()
        backlog = Backlog(
            storage, 2 * PIECE, cast(Flow, flow), "a!1", connection, lambda: emptied.append(True), fail
        )
        sent = b""
        backlog.put([START, body(b"", True)])
        for number, (step, size) in enumerate(taken):
            if step == "put":
                sent += bytes([number]) * size
                backlog.put([body(bytes([number]) * size, True)])
            elif step == "read":
                connection.window = size
                backlog.send()
            else:
                await asyncio.sleep(0)
            waiting = len(sent) - len(connection.content)
            if waiting >= 2 * PIECE:
                assert flow.is_paused
            if waiting <= PIECE:
                assert not flow.is_paused
        connection.window = 2**30
        backlog.put([body(b"end", False)])
        await until(lambda: connection.events and not connection.events[-1].get("more_body", True))
        assert connection.events[0] == START
        assert connection.content == sent + b"end"
        assert [event["more_body"] for event in connection.events[1:]].count(False) == 1
        assert backlog.is_empty
        assert emptied
        assert not flow.is_paused
        assert storage.size == 0
        backlog.close()

    asyncio.run(main())


@pytest.mark.parametrize("is_scarce", [False, True])
def test_the_bounds_of_a_backlog(is_scarce: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        monkeypatch.setattr(backlog_module, "IN_FLIGHT", 2**20)
        storage = Storage(0 if is_scarce else 2**30, 2**30)
        flow: Any = Switch()
        backlog = Backlog(
            storage, 4 * 2**20, cast(Flow, flow), "a!1", SlowConnection(), lambda: None, lambda error: None
        )
        backlog.put([START, body(b"", True)])
        size = 0
        while not flow.is_paused:
            backlog.put([body(b"x" * 2**18, True)])
            size += 2**18
        assert size == (2**20 if is_scarce else 4 * 2**20)
        while not backlog.is_full:
            backlog.put([body(b"x" * 2**18, True)])
            size += 2**18
            assert size < 2**27
        backlog.close()
        assert storage.size == 0
        assert not flow.is_paused

    asyncio.run(main())
