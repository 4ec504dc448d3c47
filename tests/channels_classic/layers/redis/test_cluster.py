"""Redis Cluster: several ``hosts``, each with a hash tag, as the page on layers shows."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis
from websockets.sync.client import connect

from channels_classic.layers import LayerUnavailable, RedisChannelLayer
from tests.conftest import LayerOn
from tests.ports import free_port
from tests.project import DEADLINE, Project
from tests.redis_cluster import RedisCluster


def keys_on(host: str, prefix: str) -> list[str]:
    with redis.Redis.from_url(host, decode_responses=True) as client:
        return [key for key in client.scan_iter(count=1000) if key.startswith(prefix)]


def use_all_nodes(layer: RedisChannelLayer) -> None:
    for number in range(30):
        layer.send(f"channel{number}", {})


def test_each_node_has_its_share(redis_cluster: RedisCluster, layer_on: LayerOn) -> None:
    prefixes = redis_cluster.prefixes("share")
    layer = layer_on(redis_cluster.hosts, capacity=300, **prefixes)
    for number in range(300):
        layer.send("work", {"number": number})
    for number in range(30):
        layer.group_add(f"group{number}", f"process{number}!client")
    for host, prefix, statistics in zip(redis_cluster.hosts, *prefixes.values(), strict=True):
        keys = keys_on(host, prefix)
        assert f"{prefix}queue:work" in keys
        assert any(key.startswith(f"{prefix}routes:") for key in keys)
        assert keys_on(host, statistics)
    layer.flush()
    assert not [
        key for host in redis_cluster.hosts for key in keys_on(host, "") if "share" in key and "epoch" not in key
    ]


@pytest.mark.parametrize("prefix", ["{mysite-1}:", "asgi:"])
def test_several_nodes_with_one_prefix_say_what_to_write(
    redis_cluster: RedisCluster, prefix: str, layer_on: LayerOn
) -> None:
    layer = layer_on(redis_cluster.hosts, prefix=prefix, stats_prefix=f"{prefix[:-1]}meta:")
    with pytest.raises(LayerUnavailable, match="same hash tag|lists: each host needs a hash tag"):
        use_all_nodes(layer)


def test_tags_in_the_wrong_order_say_what_to_write(redis_cluster: RedisCluster, layer_on: LayerOn) -> None:
    wrong = {name: prefixes[::-1] for name, prefixes in redis_cluster.prefixes("wrong").items()}
    layer = layer_on(redis_cluster.hosts, **wrong)
    with pytest.raises(LayerUnavailable, match="each host needs a hash tag whose slot it has"):
        use_all_nodes(layer)


@pytest.mark.parametrize("keyword", ["prefix", "stats_prefix"])
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (["{a}:"], "one for each of the 2 servers in hosts, not a list of 1"),
        ([], "not a list of 0"),
        (["{a}:", "{b}:", "{c}:"], "not a list of 3"),
        (["{a}:", 7], "must be a str, not 7"),
        ({"{a}:": 1}, "must be a str, not {"),
    ],
)
def test_prefixes_that_do_not_fit(keyword: str, value: Any, text: str) -> None:
    with pytest.raises(ValueError, match=f"{keyword} of a channel layer must be .*") as raised:
        RedisChannelLayer(["redis://one", "redis://two"], **{keyword: value})
    assert text in str(raised.value)


def test_a_list_of_prefixes_needs_a_list_of_hosts() -> None:
    with pytest.raises(ValueError, match="how many servers there are"):
        RedisChannelLayer(list, prefix=["{a}:"])


FILES = {
    "mysite/__init__.py": "",
    "mysite/settings.py": """
        import json

        SECRET_KEY = "for tests"
        INSTALLED_APPS = ["channels_classic"]
        CHANNEL_LAYERS = {
            "default": {
                "BACKEND": "channels_classic.layers.RedisChannelLayer",
                "ROUTING": "mysite.routing.routing",
                "CONFIG": json.load(open("cluster.json")),
            }
        }
        """,
    "mysite/routing.py": """
        from channels_classic import Group, route

        def join(message):
            Group("all").add(message.reply_channel)

        def speak(message):
            Group("all").send({"text": message["text"]})

        routing = [route("websocket.connect", join), route("websocket.receive", speak)]
        """,
}


def test_programs_over_a_cluster(redis_cluster: RedisCluster, tmp_path: Path) -> None:
    config = {"hosts": redis_cluster.hosts, **redis_cluster.prefixes("programs")}
    project = Project(tmp_path, {**FILES, "cluster.json": json.dumps(config)})
    port = free_port()
    each = zip(*config.values(), strict=True)
    options = [
        option
        for host, prefix, statistics in each
        for option in ("--redis", host, "--prefix", prefix, "--stats-prefix", statistics)
    ]
    interface = project.running(*options, "--port", str(port), program=["-m", "interface_server"], log="1.txt")
    worker = project.running("--settings", "mysite.settings", program=["-m", "worker"], log="2.txt")
    with interface as server, worker as workers, ExitStack() as stack:
        server.wait("The channel layer answers")
        workers.wait("thread(s)")
        url = f"ws://127.0.0.1:{port}/"
        clients = [
            stack.enter_context(connect(url, compression=None, proxy=None, open_timeout=DEADLINE))
            for _ in range(5)
        ]
        for number, client in enumerate(clients):
            client.send(str(number))
        for client in clients:
            assert {client.recv(DEADLINE) for _ in clients} == set("01234")


def test_a_user_with_a_pattern_for_each_prefix(redis_cluster: RedisCluster, layer_on: LayerOn) -> None:
    tags, prefixes = redis_cluster.tags, redis_cluster.prefixes("user")
    rights = ["+@read", "+@write", "+@scripting", "+@connection", "+time", "+info"]
    for host in redis_cluster.hosts:
        with redis.Redis.from_url(host) as client:
            client.execute_command(
                "ACL", "SETUSER", "mysite", "on", ">PASSWORD", *(f"~{tag}*" for tag in tags), *rights
            )
    hosts = [host.replace("redis://", "redis://mysite:PASSWORD@") for host in redis_cluster.hosts]
    layer = layer_on(hosts, **prefixes)
    use_all_nodes(layer)
    layer.group_add("group", "process!client")
    layer.send_group("group", {"x": 1})
    assert layer.receive(["process!"]) == ("process!client", {"x": 1})
    layer.flush()
