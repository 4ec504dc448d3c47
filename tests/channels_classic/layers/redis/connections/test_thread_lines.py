"""Lines of threads: what a server answers arrives, however its bytes are cut, over both kinds of line."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from channels_classic.layers.redis.connections.thread_lines import SocketLine, ThreadLine, thread_line_of
from tests.channels_classic.layers.redis.connections.test_lines import ANSWERS, told

KINDS: list[Callable[..., ThreadLine]] = [thread_line_of, ThreadLine]


@contextmanager
def opened(
    kind: Callable[..., ThreadLine], pieces: Sequence[bytes], ends: bool = True
) -> Iterator[tuple[ThreadLine, threading.Event]]:
    """A line to a server that answers the first command with these pieces. Then it hangs up if it ``ends``.

    The event is set when all pieces have been sent.
    """
    done = threading.Event()

    def serve() -> None:
        peer, _ = listener.accept()
        with peer, peer.makefile("rb") as stream:
            while stream.readline() not in (b"PING\r\n", b""):
                pass
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for piece in pieces:
                peer.sendall(piece)
            if not ends:
                done.set()
                stream.read()
        done.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve)
        server.start()
        connection = redis.Connection(  # type: ignore[no-untyped-call]
            port=listener.getsockname()[1], redis_connect_func=_prepare, socket_timeout=30
        )
        connection.connect()
        line = kind(connection, lambda error: error)
        try:
            yield line, done
        finally:
            line.close()
            server.join()


def _prepare(connection: Any) -> None:
    """Prepare the parser of redis-py, and send nothing."""
    connection._parser.on_connect(connection)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(parts=st.lists(st.sampled_from(list(ANSWERS)), min_size=1), size=st.integers(1, 40))
def test_answers_in_pieces(kind: Callable[..., ThreadLine], parts: list[bytes], size: int) -> None:
    data = b"".join(parts)
    with opened(kind, [data[at : at + size] for at in range(0, len(data), size)], ends=False) as (line, _):
        line.send([("PING",)], 30)
        answers: list[Any] = []
        line.read(answers, len(parts))
        assert [told(answer) for answer in answers] == [ANSWERS[part] for part in parts]
        assert line.is_open
        assert not line.is_readable()


@pytest.mark.parametrize("kind", KINDS)
def test_the_server_hangs_up_in_the_middle(kind: Callable[..., ThreadLine]) -> None:
    with opened(kind, [b"+OK\r\n$100\r\nabc"]) as (line, _):
        line.send([("PING",)], 30)
        answers: list[Any] = []
        with pytest.raises((OSError, redis.ConnectionError)):
            line.read(answers, 2)
        assert answers == [b"OK"]
        assert not line.is_open or line.is_readable()


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_of_no_redis(kind: Callable[..., ThreadLine]) -> None:
    with opened(kind, [b"HTTP/1.1 400 Bad Request\r\n\r\n"], ends=False) as (line, _):
        line.send([("PING",)], 30)
        with pytest.raises(Exception, match="Protocol error"):
            line.read([], 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_does_not_answer_in_time(kind: Callable[..., ThreadLine]) -> None:
    with opened(kind, [], ends=False) as (line, _):
        line.send([("PING",)], 0.02)
        with pytest.raises((TimeoutError, redis.TimeoutError)):
            line.read([], 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ends", [True, False])
def test_an_idle_line_that_must_not_be_used_again(kind: Callable[..., ThreadLine], ends: bool) -> None:
    """The server has closed it, or has sent an answer too many, which the next round trip would get."""
    with opened(kind, [b"+first\r\n"] if ends else [b"+first\r\n+second\r\n"], ends) as (line, done):
        line.send([("PING",)], 30)
        answers: list[Any] = []
        line.read(answers, 1)
        assert answers == [b"first"]
        assert done.wait(30)
        while not line.is_readable():  # until the packet has arrived
            pass


@pytest.mark.parametrize("kind", KINDS)
def test_redis_py_closes_the_connection(kind: Callable[..., ThreadLine]) -> None:
    """As its pool does with connections in use."""
    with opened(kind, [], ends=False) as (line, _):
        line.connection.disconnect()
        assert not line.is_open


def test_health_checks_are_left_to_redis_py() -> None:
    with opened(thread_line_of, []) as (line, _):
        assert isinstance(line, SocketLine)
        line.connection.health_check_interval = 30
        assert not isinstance(thread_line_of(line.connection, lambda error: error), SocketLine)
