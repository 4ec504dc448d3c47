"""Lines: what a server answers arrives, however its bytes are cut, over both kinds of line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis.asyncio
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.exceptions import NoScriptError, ResponseError

from channels_classic.layers.redis.connections.lines import DirectLine, Line, StreamLine, line_of

ANSWERS: dict[bytes, Any] = {
    b"+OK\r\n": b"OK",
    b":7\r\n": 7,
    b"$-1\r\n": None,
    b"$5\r\na\r\nbc\r\n": b"a\r\nbc",
    b"*3\r\n$1\r\nx\r\n*0\r\n:1\r\n": [b"x", [], 1],
    b"-NOSCRIPT No matching script\r\n": (NoScriptError, "No matching script"),
    b"-WRONGTYPE no list\r\n": (ResponseError, "WRONGTYPE no list"),
}

KINDS: list[Callable[..., Line]] = [line_of, StreamLine]


def told(answer: Any) -> Any:
    """An answer, with the kind and the text of an error in place of it."""
    if isinstance(answer, Exception):
        return type(answer), str(answer).removeprefix("NOSCRIPT ")
    return answer


@asynccontextmanager
async def opened(kind: Callable[..., Line], pieces: Sequence[bytes], ends: bool = True) -> AsyncIterator[Line]:
    """A line to a server that answers the first command with these pieces. Then it hangs up if it ``ends``."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"PING\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        if not ends:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    connection = redis.asyncio.Connection(port=port, redis_connect_func=_prepare)  # type: ignore[no-untyped-call]
    await connection.connect()
    line = kind(connection, lambda error: error)
    try:
        yield line
    finally:
        await line.close()
        server.close()


async def _prepare(connection: Any) -> None:
    """Prepare the parser of redis-py, and send nothing."""
    connection._parser.on_connect(connection)


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        await asyncio.wait_for(main(), 30)

    uvloop.run(limited())


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(parts=st.lists(st.sampled_from(list(ANSWERS)), min_size=1), size=st.integers(1, 40))
def test_answers_in_pieces(kind: Callable[..., Line], parts: list[bytes], size: int) -> None:
    data = b"".join(parts)

    async def main() -> None:
        async with opened(kind, [data[at : at + size] for at in range(0, len(data), size)], ends=False) as line:
            await line.send([("PING",)])
            answers: list[Any] = []
            await line.read(answers, len(parts))
            assert [told(answer) for answer in answers] == [ANSWERS[part] for part in parts]
            assert line.is_open

    run(main)


@pytest.mark.parametrize("kind", KINDS)
def test_the_server_hangs_up_in_the_middle(kind: Callable[..., Line]) -> None:
    async def main() -> None:
        async with opened(kind, [b"+OK\r\n$100\r\nabc"]) as line:
            await line.send([("PING",)])
            answers: list[Any] = []
            with pytest.raises((OSError, redis.ConnectionError)):
                await line.read(answers, 2)
            assert answers == [b"OK"]
            assert not line.is_open

    run(main)


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_of_no_redis(kind: Callable[..., Line]) -> None:
    async def main() -> None:
        async with opened(kind, [b"HTTP/1.1 400 Bad Request\r\n\r\n"], ends=False) as line:
            await line.send([("PING",)])
            with pytest.raises(Exception, match="Protocol error"):
                await line.read([], 1)

    run(main)


@pytest.mark.parametrize("kind", KINDS)
def test_a_task_that_is_cancelled_loses_no_answer(kind: Callable[..., Line]) -> None:
    async def main() -> None:
        async with opened(kind, [b"+first\r\n"], ends=False) as line:
            await line.send([("PING",)])
            answers: list[Any] = []
            reading = asyncio.create_task(line.read(answers, 2))
            while not answers:
                await asyncio.sleep(0)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            assert answers == [b"first"]
            assert line.is_open

    run(main)


def test_an_answer_too_many() -> None:
    """The line is not used again, because the next round trip would get it."""

    async def main() -> None:
        async with opened(line_of, [b"+first\r\n+second\r\n"], ends=False) as line:
            await line.send([("PING",)])
            answers: list[Any] = []
            await line.read(answers, 1)
            assert answers == [b"first"]
            assert not line.is_open

    run(main)


@pytest.mark.parametrize("kind", KINDS)
def test_redis_py_closes_the_connection(kind: Callable[..., Line]) -> None:
    """As its pool does with connections in use. It waits for the end of the transport."""

    async def main() -> None:
        async with opened(kind, [], ends=False) as line:
            await line.connection.disconnect()
            assert not line.is_open

    run(main)


def test_health_checks_are_left_to_redis_py() -> None:
    async def main() -> None:
        async with opened(line_of, []) as line:
            assert isinstance(line, DirectLine)
            line.connection.health_check_interval = 30
            assert isinstance(line_of(line.connection, lambda error: error), StreamLine)

    run(main)
