"""Opening what was taken: most messages take a fast path, which does what the slow path does."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels_classic.layers import RedisChannelLayer, codec
from channels_classic.layers.redis.envelope import AGAIN, MESSAGE, Envelopes
from channels_classic.layers.redis.queues import Entry
from channels_classic.layers.redis.receiving import Receiving

NOW = b"1700000000000000"


class Slow(Envelopes):
    """Envelopes that are opened as encrypted ones are."""

    are_bound = True  # type: ignore[assignment]


@contextmanager
def errors() -> Iterator[list[str]]:
    """What is logged while the block runs."""
    lines: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    logger, handler = logging.getLogger("django.channels"), Lines()
    logger.addHandler(handler)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)


@pytest.fixture(scope="module")
def receiving() -> Receiving:
    return RedisChannelLayer()._receiving


def opened(
    receiving: Receiving, envelopes: Envelopes, values: list[bytes], now: bytes = NOW
) -> tuple[Any, list[str]]:
    """What a layer makes of the values of a queue, and what it logs."""
    receiving._envelopes = envelopes
    with errors() as lines:
        try:
            next(receiving._open_all([Entry(0, "queue", value) for value in values], now))
        except StopIteration as stop:
            return stop.value, lines
    raise AssertionError("these values need no round trip")


stamps = st.integers(-3, 3).map(lambda seconds: b"%016d" % (int(NOW) + seconds))
messages = st.dictionaries(st.text(max_size=3), st.integers(0, 9) | st.binary(max_size=3), max_size=3)
payloads = messages.map(codec.pack) | st.binary(max_size=4)
envelopes = st.builds(
    lambda kind, name, payload: Envelopes(None).seal(kind, name, payload, "queue", 0),
    st.sampled_from([MESSAGE, MESSAGE, MESSAGE, AGAIN]),
    st.sampled_from(["", "", "client"]),
    payloads,
)
broken = st.binary(max_size=20).filter(lambda body: body[:1] not in (b"g", b"j", b"l"))
cut = st.builds(lambda length, rest: MESSAGE + bytes([length]) + rest, st.integers(0, 255), st.binary(max_size=9))
values = st.builds(lambda stamp, body: stamp + body, stamps, envelopes | broken | cut) | st.binary(max_size=15)


@given(values=st.lists(values, max_size=6), now=st.sampled_from([NOW, b""]))
def test_both_paths(receiving: Receiving, values: list[bytes], now: bytes) -> None:
    fast, lines = opened(receiving, Envelopes(None), values, now)
    slow, lines_of_slow = opened(receiving, Slow(None), values, now)
    assert fast == slow
    assert all(" was dropped: " in line for line in lines)
    assert len(lines) == len(lines_of_slow)


@pytest.mark.parametrize("name", ["", "client"])
def test_the_fast_path_is_taken(receiving: Receiving, name: str) -> None:
    class Unused(Envelopes):
        def open(self, sealed: bytes, queue: str) -> Any:
            raise AssertionError("to open this takes time")

    value = b"%016d" % int(NOW) + Envelopes(None).seal(MESSAGE, name, codec.pack({"number": 1}), "queue", 0)
    (received, failure), lines = opened(receiving, Unused(None), [value])
    assert [one.content for one in received] == [{"number": 1}]
    assert (received[0].channel, received[0].deliveries, failure, lines) == (f"queue{name}", 1, None, [])
