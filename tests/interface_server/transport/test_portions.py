"""What a client sends is passed on in portions, so that the other clients have their turns."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interface_server.transport.portions import PORTION, Portions
from tests.interface_server.hosted import HANDSHAKE, Hosted, read_until_closed

CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


class Transport:
    """Records whether it reads."""

    reads = True
    closing = False

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def is_closing(self) -> bool:
        return self.closing


def portions_on(transport: Transport, take: Callable[[bytes], None]) -> Portions:
    return Portions(transport, take)  # type: ignore[arg-type]


steps = st.lists(st.integers(1, 5 * PORTION) | st.sampled_from(["pause", "resume", "turn"]), max_size=20)


@given(steps)
def test_all_comes_out_in_order_and_in_portions(steps: list[int | str]) -> None:
    async def scenario() -> None:
        transport = Transport()
        taken: list[bytes] = []
        portions = portions_on(transport, taken.append)
        sent = b""
        is_paused = False
        for step in steps:
            before = len(taken)
            if step == "pause":
                portions.pause()
                is_paused = True
            elif step == "resume":
                portions.resume()
                is_paused = False
            elif step == "turn":
                await asyncio.sleep(0)
            elif isinstance(step, int) and transport.reads:
                data = len(sent).to_bytes(4) * (step // 4 + 1)
                sent += data
                portions.put(data)
            assert len(taken) <= before + (not is_paused)
            assert not (is_paused and transport.reads)
        portions.resume()
        while not transport.reads:
            await asyncio.sleep(0)
        assert b"".join(taken) == sent
        assert all(len(portion) <= PORTION for portion in taken)

    asyncio.run(scenario())


@pytest.mark.parametrize("finished", [True, False])
def test_the_end(finished: bool) -> None:
    async def scenario() -> None:
        taken: list[bytes] = []
        portions = portions_on(Transport(), taken.append)
        portions.put(bytes(3 * PORTION))
        if finished:
            portions.finish()
            assert [len(portion) for portion in taken] == [PORTION, 2 * PORTION]
        else:
            assert len(portions.take_rest()) == 2 * PORTION
        before = len(taken)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(taken) == before

    asyncio.run(scenario())


FLOODS = {
    "pings": (HANDSHAKE % (b"/", b""), b"\x89\x80\0\0\0\0"),
    "fragments": (HANDSHAKE % (b"/", b"") + b"\x01\x80\0\0\0\0", b"\x00\x80\0\0\0\0"),
    "chunks": (CHUNKED, b"1\r\na\r\n"),
    "empty lines": (b"", b"\r\n"),
}


@pytest.mark.parametrize(("beginning", "part"), FLOODS.values(), ids=FLOODS)
def test_a_flood_of_tiny_parts_holds_up_nobody_else(hosted: Hosted, beginning: bytes, part: bytes) -> None:
    """Another client is served before the server has read much more of the flood."""
    flooding = hosted.raw(beginning)
    if beginning.startswith(b"GET"):
        hosted.send(hosted.receive("websocket.connect")["reply_channel"], accept=True)
        assert flooding.recv(1000).startswith(b"HTTP/1.1 101 ")
    sent = 0
    is_over = False

    def flood() -> None:
        nonlocal sent
        with suppress(OSError):
            while not is_over:
                flooding.sendall(part * 10_000)
                sent += len(part) * 10_000

    sending = hosted.call(flood)
    meanwhile = []
    for _ in range(5):
        before = sent
        assert read_until_closed(hosted.raw(b"no request\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
        meanwhile.append(sent - before)
    assert not sending.done()
    assert min(meanwhile) < 2**21
    is_over = True
    flooding.shutdown(socket.SHUT_RDWR)
    sending.result()
