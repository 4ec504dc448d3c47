"""Turns whose ends or messages do not come, and the keys that stay. The rest is in the conformance suite."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from channels_classic.layers import BaseChannelLayer, InMemoryChannelLayer, RedisChannelLayer, turns
from channels_classic.layers.types import Turn
from tests.conftest import LayerOn
from tests.redis_server import RedisServer

CLIENT = "interface.abc!one"
OTHER = "interface.abc!two"
EXPIRY = 0.2
PATIENCE = EXPIRY + 0.1
LEASE = 0.4

MakeLayer = Callable[..., BaseChannelLayer]


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "EXTRA_PATIENCE", PATIENCE - EXPIRY)
    monkeypatch.setattr(turns, "LEASE_SECONDS", LEASE)


@pytest.fixture(params=["memory", "redis", "encrypted"])
def make_layer(request: pytest.FixtureRequest, layer_on: LayerOn) -> MakeLayer:
    if request.param == "memory":
        return partial(InMemoryChannelLayer, expiry=EXPIRY)
    keys = ["a key"] if request.param == "encrypted" else None
    url = request.getfixturevalue("redis_url")
    return partial(layer_on, [url], symmetric_encryption_keys=keys, expiry=EXPIRY)


@pytest.fixture
def layer(make_layer: MakeLayer) -> BaseChannelLayer:
    return make_layer()


def enter(layer: BaseChannelLayer, order: int, client: str = CLIENT, slight: bool = False) -> bool:
    return layer.enter_turn(Turn(client, order, "frames", slight=slight), {"client": client, "order": order})


def end(layer: BaseChannelLayer, order: int, client: str = CLIENT, last: bool = False) -> None:
    layer.send_batch([layer.end_of_turn(client, order, last=last)])


def came_back(layer: BaseChannelLayer) -> list[int]:
    return [received.content["order"] for received in layer.receive_batch(["frames"], 1000)]


def outlive(seconds: float) -> None:
    ends = time.monotonic() + seconds + 0.02
    while (left := ends - time.monotonic()) > 0:
        time.sleep(left)


def test_messages_that_come_back_come_first(layer: BaseChannelLayer) -> None:
    enter(layer, 0)
    enter(layer, 1)
    layer.send("frames", {"order": 99})
    end(layer, 0)
    assert came_back(layer) == [1, 99]


def test_a_message_that_waits_for_a_running_one_does_not_expire(
    layer: BaseChannelLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "LEASE_SECONDS", 60)
    enter(layer, 0)
    enter(layer, 2)
    enter(layer, 1)
    outlive(2 * PATIENCE)
    assert not enter(layer, 3)
    end(layer, 0)
    assert came_back(layer) == [1]


def test_a_killed_worker_does_not_block_its_client(
    layer: BaseChannelLayer, caplog: pytest.LogCaptureFixture
) -> None:
    assert enter(layer, 0)
    assert not enter(layer, 2)
    outlive(LEASE)
    assert enter(layer, 1)
    [record] = caplog.records
    assert "The turn of message 0 of interface.abc!one did not end" in record.getMessage()
    end(layer, 0)  # it was only slow
    assert not enter(layer, 0)
    end(layer, 1)
    assert came_back(layer) == [2]


def test_a_message_of_any_client_lets_overdue_clients_go_on(layer: BaseChannelLayer) -> None:
    enter(layer, 0)
    enter(layer, 1)
    enter(layer, 2)
    outlive(LEASE)
    assert enter(layer, 0, OTHER)
    assert came_back(layer) == [1]
    assert not enter(layer, 0)


def test_a_lost_message_is_passed_over(layer: BaseChannelLayer, caplog: pytest.LogCaptureFixture) -> None:
    enter(layer, 0)
    enter(layer, 4)
    enter(layer, 3)
    end(layer, 0)
    assert not enter(layer, 5)
    outlive(PATIENCE)
    assert enter(layer, 0, OTHER)
    assert came_back(layer) == [3]
    [record] = caplog.records
    assert "messages 1 to 2" in record.getMessage()
    assert "enforce_ordering" in record.getMessage()
    assert not enter(layer, 1)  # too late
    assert enter(layer, 3)
    end(layer, 3)
    assert came_back(layer) == [4]


def test_an_arriving_message_may_be_the_next_one(layer: BaseChannelLayer) -> None:
    enter(layer, 0)
    end(layer, 0)
    enter(layer, 5)
    outlive(PATIENCE)
    assert enter(layer, 4)
    end(layer, 4)
    assert came_back(layer) == [5]


def test_a_message_that_may_still_come_is_not_passed_over(layer: BaseChannelLayer) -> None:
    """The time runs from the moment when others wait, and not from the end of the turn before."""
    enter(layer, 0)
    end(layer, 0)
    outlive(PATIENCE)
    assert not enter(layer, 2)
    assert enter(layer, 1)
    enter(layer, 4)
    outlive(PATIENCE)
    # Message 2 waited long, but for a running one; 3 may be on its way.
    end(layer, 1)
    assert came_back(layer) == [2]
    assert enter(layer, 2)
    end(layer, 2)
    assert not enter(layer, 5)
    assert came_back(layer) == []
    assert enter(layer, 3)


def test_a_message_that_was_put_back_is_waited_for(
    layer: BaseChannelLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time runs from the moment when it was put back, and not from when others began to wait."""
    monkeypatch.setattr(turns, "LEASE_SECONDS", 60)
    enter(layer, 0)
    enter(layer, 1)
    outlive(PATIENCE)
    layer.suspend_turn(Turn(CLIENT, 0, "frames"))
    assert not enter(layer, 2)
    assert enter(layer, 0)
    layer.suspend_turn(Turn(CLIENT, 0, "frames"))
    outlive(PATIENCE)
    assert not enter(layer, 4)  # and in the end no longer
    assert came_back(layer) == [1]


def test_a_first_message_that_does_not_come_holds_up_slight_order_no_longer(layer: BaseChannelLayer) -> None:
    assert not enter(layer, 3, slight=True)
    assert not enter(layer, 2, slight=True)
    outlive(PATIENCE)
    assert enter(layer, 4, slight=True)
    assert came_back(layer) == [2, 3]
    assert enter(layer, 3, slight=True)


def test_a_first_message_whose_worker_died_holds_up_slight_order_no_longer(layer: BaseChannelLayer) -> None:
    enter(layer, 0, slight=True)
    enter(layer, 2, slight=True)
    enter(layer, 1, slight=True)
    outlive(LEASE)
    assert enter(layer, 3, slight=True)
    assert came_back(layer) == [1, 2]


def test_a_goodbye_whose_frame_was_lost_is_handled_all_the_same(layer: BaseChannelLayer) -> None:
    """The client sends nothing more, so the interface server releases its channel again."""
    enter(layer, 0)
    end(layer, 0)
    layer.release([CLIENT])
    enter(layer, 2)
    outlive(PATIENCE)
    layer.release([CLIENT])
    assert came_back(layer) == [2]
    assert enter(layer, 2)


def test_too_many_messages_that_wait(layer: BaseChannelLayer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "MAX_WAITING", 3)
    for order in range(1, 4):
        assert not enter(layer, order)
    with pytest.raises(layer.ChannelFull, match="Message 4 of interface.abc!one on 'frames' was dropped"):
        enter(layer, 4)
    assert enter(layer, 0)
    end(layer, 0)
    assert came_back(layer) == [1]
    assert not enter(layer, 4)


def test_turns_in_memory_are_forgotten() -> None:
    layer = InMemoryChannelLayer(expiry=EXPIRY, group_expiry=0.5)
    for number in range(10):
        enter(layer, 0, f"interface.abc!{number}")
    enter(layer, 0)
    enter(layer, 1)
    end(layer, 0, last=True)
    assert len(layer._turns) == 11
    outlive(1)
    layer.send_batch([])
    assert len(layer._turns) == 0


class TestNothingStaysBehind:
    """All keys in Redis have a time of expiry."""

    @pytest.fixture
    def layer(self, redis_url: str, layer_on: LayerOn) -> RedisChannelLayer:
        return layer_on([redis_url], group_expiry=1000)

    @pytest.fixture
    def seconds_left(self, redis_server: RedisServer) -> Iterator[Callable[[], dict[str, int]]]:
        with redis_server.client() as client:
            # As bytes, since messages are not text.
            client.connection_pool.connection_kwargs["decode_responses"] = False

            def seconds_left() -> dict[str, int]:
                keys = [key for kind in ("turns:*", "freed:*", "waiting") for key in client.keys(f"asgi:{kind}")]
                return {key.decode(): round(client.pttl(key) / 1000) for key in keys}

            yield seconds_left

    def test_while_the_socket_lives(
        self, layer: RedisChannelLayer, seconds_left: Callable[[], dict[str, int]]
    ) -> None:
        enter(layer, 0)
        assert seconds_left() == {"asgi:turns:interface.abc!one": 1000}
        enter(layer, 1)
        assert seconds_left() == {"asgi:turns:interface.abc!one": 1000, "asgi:waiting": 1000}
        end(layer, 0)
        assert seconds_left() == {"asgi:turns:interface.abc!one": 1000}

    def test_after_the_last_message(
        self, layer: RedisChannelLayer, seconds_left: Callable[[], dict[str, int]]
    ) -> None:
        enter(layer, 0)
        end(layer, 0)
        enter(layer, 1)
        end(layer, 1, last=True)
        assert seconds_left() == {"asgi:turns:interface.abc!one": 60}

    def test_a_second_release_does_not_keep_them_for_longer(
        self,
        layer: RedisChannelLayer,
        seconds_left: Callable[[], dict[str, int]],
        redis_server: RedisServer,
    ) -> None:
        """An interface server releases each channel once more after a minute."""
        enter(layer, 0)
        end(layer, 0, last=True)
        [key] = seconds_left()
        with redis_server.client() as client:
            client.pexpire(key, 10_000)
        layer.release(["interface.abc!one"])
        assert seconds_left() == {key: 10}

    def test_the_tokens_of_slight_order_are_kept_as_long_as_their_messages(
        self, layer: RedisChannelLayer, seconds_left: Callable[[], dict[str, int]]
    ) -> None:
        layer.enter_turn(Turn(CLIENT, 1, "frames", slight=True, token="one"), {})
        enter(layer, 0, slight=True)
        end(layer, 0)
        assert seconds_left() == {
            "asgi:turns:interface.abc!one": 1000,
            "asgi:freed:interface.abc!one": 60,
        }
        layer.flush()
        assert seconds_left() == {}

    def test_keys_after_a_release(
        self,
        layer: RedisChannelLayer,
        seconds_left: Callable[[], dict[str, int]],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(turns, "LEASE_SECONDS", 300)
        layer.release([CLIENT])
        assert seconds_left() == {}
        enter(layer, 0)
        enter(layer, 1)
        layer.release([CLIENT, OTHER])
        assert seconds_left() == {"asgi:turns:interface.abc!one": 360, "asgi:waiting": 1000}
        end(layer, 0)
        assert seconds_left() == {"asgi:turns:interface.abc!one": 60}
        enter(layer, 1)
        assert seconds_left() == {"asgi:turns:interface.abc!one": 360}
        end(layer, 1)
        assert seconds_left() == {"asgi:turns:interface.abc!one": 60}

    def test_a_client_that_vanished_is_removed_from_the_waiting_clients(
        self, layer: RedisChannelLayer, redis_server: RedisServer, seconds_left: Callable[[], dict[str, int]]
    ) -> None:
        enter(layer, 0)
        enter(layer, 1)
        with redis_server.client() as client:
            client.delete("asgi:turns:interface.abc!one")
        outlive(LEASE)
        enter(layer, 0, OTHER)
        assert list(seconds_left()) == ["asgi:turns:interface.abc!two"]


def test_the_turns_of_many_clients_on_several_servers(redis_servers: list[str], layer_on: LayerOn) -> None:
    layer = layer_on(hosts=redis_servers, prefix="turns-of-many:", capacity=1000)
    clients = [f"interface.{number}!x" for number in range(30)]
    for client in clients:
        assert enter(layer, 0, client)
        assert not enter(layer, 1, client)
    layer.send_batch([layer.end_of_turn(client, 0) for client in clients])
    received = []
    while batch := layer.receive_batch(["frames"], 100):
        received += batch
    assert sorted(one.content["client"] for one in received) == sorted(clients)
    layer.release(clients)
    layer.flush()
