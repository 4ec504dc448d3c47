"""Shows why the channel layer keeps turns: the same protocol in a session loses messages.

This does not depend on chance. One worker ends the turn of message 1 while another one finds that message 2 comes
too early. Both have read the session before either writes it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.cache import cache

from channels_classic.layers import BaseChannelLayer, InMemoryChannelLayer, RedisChannelLayer
from channels_classic.layers.types import Turn
from channels_classic.sessions import session_for_reply_channel

CLIENT = "interface.abc!one"
SECONDS = 60


@pytest.fixture(autouse=True)
def sessions_in_cache(settings: Any) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"
    cache.clear()


class Naive:
    """Turns in the channel session: what runs next, and what waits.

    Arguments:
        has_read: called between reading the session and writing it.
    """

    def __init__(self, has_read: Callable[[], object] = lambda: None) -> None:
        self.has_read = has_read
        self.channel: list[int] = []

    def enter(self, order: int) -> bool:
        """Whether to run the message; if not, it waits in the session."""
        session = session_for_reply_channel(CLIENT)
        may_run = order == session.get("next", 0)
        self.has_read()
        if not may_run:
            session["waiting"] = [*session.get("waiting", []), order]
            session.save_changes()
        return bool(may_run)

    def end(self, order: int) -> None:
        """Let the next message go back to its channel, if it waits."""
        session = session_for_reply_channel(CLIENT)
        waiting = session.get("waiting", [])
        self.has_read()
        session["next"] = order + 1
        session["waiting"] = [other for other in waiting if other != order + 1]
        session.save_changes()
        self.channel += [other for other in waiting if other == order + 1]

    def came_back(self) -> list[int]:
        return self.channel


class Ours:
    """Turns in a channel layer."""

    def __init__(self, layer: BaseChannelLayer) -> None:
        self.layer = layer

    def enter(self, order: int) -> bool:
        return self.layer.enter_turn(Turn(CLIENT, order, "frames"), {"order": order})

    def end(self, order: int) -> None:
        self.layer.send_batch([self.layer.end_of_turn(CLIENT, order)])

    def came_back(self) -> list[int]:
        return [received.content["order"] for received in self.layer.receive_batch(["frames"], 10)]


Protocol = Naive | Ours


def message_2_runs(protocol: Protocol) -> bool:
    """Whether message 2 ever runs if message 1 ends and message 2 arrives at the same time."""
    with ThreadPoolExecutor(2) as workers:
        ended = workers.submit(protocol.end, 1)
        entered = workers.submit(protocol.enter, 2)
        ended.result(SECONDS)
        may_run = entered.result(SECONDS)
    return may_run or (protocol.came_back() == [2] and protocol.enter(2))


def run_first_messages(protocol: Protocol) -> None:
    assert protocol.enter(0)
    protocol.end(0)
    assert protocol.enter(1)


def test_read_and_write_in_a_session_lose_a_message() -> None:
    protocol = Naive()
    run_first_messages(protocol)
    both_have_read = threading.Barrier(2, timeout=SECONDS)
    waits = iter([both_have_read.wait, both_have_read.wait])
    protocol.has_read = lambda: next(waits, lambda: None)()
    assert not message_2_runs(protocol)


def test_sequential_steps_lose_nothing() -> None:
    """So the interleaving loses the message, and not a mistake in the steps."""
    protocol = Naive()
    run_first_messages(protocol)
    assert not protocol.enter(2)
    protocol.end(1)
    assert protocol.came_back() == [2]
    assert protocol.enter(2)


@pytest.fixture(params=["memory", "redis"])
def ours(request: pytest.FixtureRequest) -> Iterator[Ours]:
    if request.param == "memory":
        yield Ours(InMemoryChannelLayer())
        return
    layer = RedisChannelLayer(hosts=[request.getfixturevalue("redis_url")])
    yield Ours(layer)
    layer.close()


@pytest.mark.parametrize("first", ["the end", "the arrival"])
def test_steps_of_a_layer_have_only_two_interleavings_and_both_are_right(ours: Ours, first: str) -> None:
    run_first_messages(ours)
    if first == "the end":
        ours.end(1)
        assert ours.came_back() == []
    else:
        assert not ours.enter(2)
        ours.end(1)
        assert ours.came_back() == [2]
    assert ours.enter(2)


def test_there_is_no_third_interleaving(ours: Ours) -> None:
    for _ in range(200):
        ours.layer.flush()
        run_first_messages(ours)
        assert message_2_runs(ours)
