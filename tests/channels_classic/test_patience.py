"""Calls of a consumer in an outage: sessions and groups wait, and nothing is done twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.sessions.backends.base import CreateError

from channels_classic.asgi import ChannelLayerWrapper, channel_layers
from channels_classic.backoff import Backoff
from channels_classic.channel import Group
from channels_classic.exceptions import ConsumeLater
from channels_classic.layers import LayerUnavailable, RedisChannelLayer
from channels_classic.patience import through_outages
from channels_classic.pending import PendingSends
from channels_classic.session_engine import SessionStore
from tests.redis_proxy import RedisProxy

KEY = "k" * 32


@pytest.fixture
def proxy(redis_url: str) -> Iterator[RedisProxy]:
    former = channel_layers.set("default", None)
    with RedisProxy(redis_url) as proxy:
        layer = RedisChannelLayer([proxy.url])
        channel_layers.set("default", ChannelLayerWrapper(layer, "default", {}))
        layer.flush()
        yield proxy
        layer.close()
    channel_layers.set("default", former)


class Worker:
    """A stand-in for the worker of a consumer. Redis is back when it waits for the third time."""

    def __init__(self, proxy: RedisProxy, stops: bool = False) -> None:
        self.waited = 0
        self._proxy = proxy
        self._stops = stops

    def wait_out(self, error: LayerUnavailable, backoff: Backoff) -> bool:
        self.waited += 1
        if self.waited == 3:
            self._proxy.come_back()
        return not self._stops

    def settle_turn(self, reply_channel: str) -> None:
        raise NotImplementedError

    def turn_began(self, lease: Any) -> None:
        raise NotImplementedError

    def hand_over(self, *arguments: Any) -> bool:
        raise NotImplementedError


def make() -> None:
    SessionStore(KEY).save(must_create=True)


def change(number: int = 1) -> None:
    session = SessionStore(KEY)
    session["number"] = number
    session.save()


STEPS: dict[str, Callable[[], Any]] = {
    "load": lambda: SessionStore(KEY).load(),
    "exists": lambda: SessionStore().exists(KEY),
    "create": lambda: SessionStore().create(),
    "save": change,
    "delete": lambda: SessionStore(KEY).delete(),
    "add": lambda: Group("room").add("interface.abc!two"),
    "discard": lambda: Group("room").discard("interface.abc!one"),
}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_it_waits_until_the_layer_is_back(step: Callable[[], Any], proxy: RedisProxy) -> None:
    make()
    worker = Worker(proxy)
    with PendingSends(worker):
        proxy.go_away()
        step()
    assert worker.waited == 3


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_only_a_worker_that_does_not_stop_waits(step: Callable[[], Any], proxy: RedisProxy) -> None:
    make()
    proxy.go_away()
    with pytest.raises(LayerUnavailable):
        step()
    worker = Worker(proxy, stops=True)
    with PendingSends(worker), pytest.raises(LayerUnavailable):
        step()
    assert worker.waited == 1
    with PendingSends(worker), pytest.raises(ConsumeLater):
        through_outages(channel_layers["default"].channel_layer.repair, channel_layers["default"], ConsumeLater)


def test_a_session_that_was_created_though_the_answer_was_lost(proxy: RedisProxy) -> None:
    channel_layers["default"].receive_batch([], 1)  # the scripts are there
    proxy.cut_after(b"\r\nNX\r\n")
    make()
    change(5)
    assert SessionStore(KEY).load() == {"number": 5}


def test_a_session_that_another_created_meanwhile(proxy: RedisProxy) -> None:
    make()
    change()
    proxy.cut_after(b"\r\nNX\r\n")
    with pytest.raises(CreateError):
        make()
    assert SessionStore(KEY).load() == {"number": 1}
