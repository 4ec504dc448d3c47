"""Managed Redis servers: users with few rights, and clusters, as the page on layers shows them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import redis

from channels_classic.layers import LayerUnavailable, RedisChannelLayer
from channels_classic.layers.types import Turn
from tests.conftest import LayerOn
from tests.interface_server.hosted import eventually
from tests.project import REPOSITORY
from tests.redis_cluster import start_node
from tests.redis_server import RedisServer

PAGE = (REPOSITORY / "docs" / "layers.md").read_text()


def use_all(layer: RedisChannelLayer) -> None:
    """Call what interface servers and workers call."""
    layer.send("one", {"x": 1})
    assert layer.receive(["one"]) == ("one", {"x": 1})
    layer.group_add("group", "reply!a")
    assert layer.group_channels("group") == ["reply!a"]
    layer.send_group("group", {"y": 1})
    assert layer.receive(["reply!"]) == ("reply!a", {"y": 1})
    layer.renew(["reply!a"])
    layer.pause(["reply!a"])
    layer.resume(["reply!a"])
    turn = Turn("reply!a", 0, "one")
    assert layer.enter_turn(turn, {})
    layer.suspend_turn(turn)
    assert layer.set_value("value", b"x", 10, False)
    assert layer.get_value("value")
    layer.keep_value("value", 5)
    layer.delete_value("value")
    layer.global_statistics()
    layer.channel_statistics("one")
    layer.group_discard("group", "reply!a")
    layer.release(["reply!a"])
    layer.repair()
    assert layer.receive_batch(["one"], 1, 0.05) == []  # waits in Redis, and is woken
    layer.flush()

    async def on_a_loop() -> None:
        await layer.arepair()
        await layer.asend_batch([layer.prepare("two", {"z": 1})])
        (received,) = await layer.areceive_batch(["two"], 1, 5)
        assert received.content == {"z": 1}
        assert await layer.areceive_batch(["two"], 1, 0.05) == []
        await layer.aclose()

    asyncio.run(on_a_loop())


@pytest.fixture
def rule() -> list[str]:
    """The rule for a user that the page shows."""
    found = re.search(r"^user mysite on >PASSWORD (.+)$", PAGE, re.MULTILINE)
    assert found
    return found[1].split()


def layer_of_user(server: RedisServer, *rules: str) -> RedisChannelLayer:
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "mysite", "on", ">PASSWORD", *rules)
    return RedisChannelLayer([f"redis://mysite:PASSWORD@{server.host}:{server.port}/0"])


def test_the_rule_of_the_page_is_enough(server: RedisServer, rule: list[str]) -> None:
    layer = layer_of_user(server, *rule)
    use_all(layer)
    layer.close()
    with server.client() as client:
        assert client.execute_command("ACL", "LOG") == []


def test_each_part_of_the_rule_is_needed(server: RedisServer, rule: list[str]) -> None:
    for part in ("~asgi:*", "+@write", "+@scripting"):
        layer = layer_of_user(server, "reset", "on", ">PASSWORD", *(each for each in rule if each != part))
        with pytest.raises(LayerUnavailable, match=r"ACL keeps the user in hosts from .* \+@read \+@write"):
            use_all(layer)
        layer.close()


@pytest.fixture
def cluster() -> Iterator[str]:
    """The URL of a cluster of one node, which has all slots."""
    with closing(start_node()) as server:
        with redis.Redis(server.host, server.port) as client:
            client.execute_command("CLUSTER", "ADDSLOTS", *range(16384))
            eventually(lambda: "cluster_state:ok" in as_text(client.execute_command("CLUSTER", "INFO")))
        yield f"redis://{server.host}:{server.port}"


def as_text(answer: Any) -> str:
    """An answer of Redis, which some versions of redis-py take apart."""
    if isinstance(answer, dict):
        return "\n".join(f"{name}:{value}" for name, value in answer.items())
    return answer.decode() if isinstance(answer, bytes) else str(answer)


def test_a_cluster_with_the_prefixes_of_the_page(cluster: str, layer_on: LayerOn) -> None:
    prefixes = dict(re.findall(r'"((?:stats_)?prefix)": "(\{mysite\}\S+)"', PAGE))
    assert set(prefixes) == {"prefix", "stats_prefix"}
    layer = layer_on([cluster], **prefixes)
    use_all(layer)


def test_a_cluster_without_them_says_what_to_write(cluster: str, layer_on: LayerOn) -> None:
    layer = layer_on([cluster])
    with pytest.raises(
        LayerUnavailable, match=r"Give prefix and stats_prefix the same hash tag, as in '\{asgi\}:'"
    ):
        use_all(layer)
