"""``manage.py channelstatus`` and ``channelinspect``, over a real Redis."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings
from rich.console import Console

from channels_classic.asgi import channel_layers
from channels_classic.layers import BaseChannelLayer, Client, Process
from channels_classic.layers.codec import pack
from channels_classic.layers.group_sizes import GroupSizes
from channels_classic.log_context import client_id
from channels_classic.management.commands.channelstatus import tables
from channels_classic.monitoring.layer_view import View
from channels_classic.monitoring.overview import overview

BACKEND = "channels_classic.layers.RedisChannelLayer"


@pytest.fixture
def layer(redis_url: str) -> Iterator[BaseChannelLayer]:
    entry = {"BACKEND": BACKEND, "ROUTING": {}, "CONFIG": {"hosts": [redis_url]}}
    with override_settings(CHANNEL_LAYERS={"default": entry}):
        layer: BaseChannelLayer = channel_layers["default"].channel_layer
        yield layer
        layer.close()


def printed(*arguments: str) -> str:
    output = StringIO()
    call_command(*arguments, stdout=output, no_color=True)
    return output.getvalue()


def a_process(kind: str, name: str, at: float = 0.0, **numbers: Any) -> Process:
    details = {
        "kind": kind,
        "host": "web-1",
        "pid": ord(name[0]),
        "started": time.time() - 300,
        "channels": ["mail"],
    }
    return Process(f"{kind}.{name}", {**details, "numbers": {"at": at, **numbers}})


def with_groups(name: str, largest: dict[str, int], more: int = 0, **numbers: Any) -> Process:
    """An interface server that has published these groups, and has ``more`` groups of one member."""
    process = a_process("interface", name, **numbers)
    sizes = GroupSizes(largest, len(largest) + more, sum(largest.values()) + more)
    return process._replace(details={**process.details, "groups": sizes._asdict()})


def test_what_happens(layer: BaseChannelLayer) -> None:
    now = time.time()
    errors = [[now, "radio.speak", "ValueError"], [now - 3600, "radio.speak", "KeyError"]]
    layer.life = 60
    layer.beat(a_process("worker", "a", consumers={"radio.speak": [10, 2.0, 1]}, errors=errors))
    layer.beat(a_process("worker", "b", consumers={"radio.speak": [10, 4.0, 0], "radio.join": [1, 0.1, 0]}))
    layer.beat(with_groups("c", {"room-1": 3, "room-2": 1}, sockets=5))
    layer.beat(with_groups("d", {"room-1": 4}))
    layer.send("mail", {"a": 1})
    found = json.loads(printed("channelstatus", "--json"))
    assert found["sockets"] == 5
    assert [process["kind"] for process in found["processes"]] == ["interface", "interface", "worker", "worker"]
    assert next(each["waiting"] for each in found["channels"] if each["channel"] == "mail") == 1
    assert found["groups"] == [
        {"group": "room-1", "members": 7, "at_least": False, "processes": 2},
        {"group": "room-2", "members": 1, "at_least": False, "processes": 1},
    ]
    assert (found["group_count"], found["memberships"]) == (2, 8)
    first, second = found["consumers"]
    assert first == {
        "consumer": "radio.speak",
        "calls": 20,
        "seconds": 6.0,
        "mean_milliseconds": 300.0,
        "errors": 1,
    }
    assert second["consumer"] == "radio.join"
    assert [error["error"] for error in found["errors"]] == ["ValueError"]

    text = printed("channelstatus")
    assert "Sockets: 5. Dead letters: 0." in text
    assert "5 min" in text
    for word in ("radio.speak", "300.0", "ValueError", "mail", "web-1", "room-1"):
        assert word in text
    assert "\x1b" not in text


def test_without_a_worker(layer: BaseChannelLayer) -> None:
    assert "No worker is alive: nothing is answered." in printed("channelstatus")


def test_rates_are_those_between_two_heartbeats() -> None:
    before = View([a_process("worker", "a", at=100.0, received=50, sent=10)], {"x": {"messages_count": 5}}, 0)
    statistics = {"messages_pending": 0, "messages_max_age": 0, "messages_count": 25, "channel_full_count": 0}
    processes = [
        a_process("worker", "a", at=102.0, received=90, sent=10),
        a_process("worker", "new", at=102.0, received=90),
    ]
    found = overview(View(processes, {"x": statistics}, 0), before, 4.0)
    assert [process["received_per_second"] for process in found["processes"]] == [20.0, 0.0]
    assert found["channels"][0]["per_second"] == 5.0


def test_groups_that_are_not_shown_are_counted() -> None:
    """A process that has not published all of its groups may have any of the others."""
    whole, part = (
        with_groups("a", {f"a-{number}": 5 for number in range(15)} | {"room": 9}),
        with_groups("b", {f"b-{number}": 4 for number in range(15)} | {"room": 2}, more=40),
    )
    found = overview(View([whole, part], {}, 0), View([], {}, 0), 1.0)
    assert len(found["groups"]) == 20
    assert found["groups"][0] == {"group": "room", "members": 11, "at_least": False, "processes": 2}
    assert found["groups"][1] == {"group": "a-0", "members": 5, "at_least": True, "processes": 1}
    assert found["groups"][-1] == {"group": "b-3", "members": 4, "at_least": False, "processes": 1}
    assert (found["group_count"], found["memberships"]) == (56, 84 + 62 + 40)
    console = Console(file=StringIO(), width=100)
    console.print(tables(found))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "≥ 5" in text
    assert "... and at least 36 more groups" in text


def test_names_from_the_registry_cannot_write_to_the_terminal(layer: BaseChannelLayer) -> None:
    layer.beat(with_groups("b", {"\x1b[2Jevil": 1}))
    layer.beat(a_process("worker", "a", consumers={"\x1b[2Jevil": [1, 1.0, 0]}))
    assert "\x1b" not in printed("channelstatus")


def test_inspect_a_group_and_a_channel(layer: BaseChannelLayer) -> None:
    layer.beat(a_process("worker", "a"))
    for name in ("one!b", "one!a"):
        layer.group_add("room", name)
    assert json.loads(printed("channelinspect", "group", "room", "--json")) == {
        "group": "room",
        "count": 2,
        "members": ["one!a", "one!b"],
    }
    layer.send("mail", {})
    text = printed("channelinspect", "channel", "mail")
    assert "waiting: 1\ncapacity: 100\n" in text
    assert "received by: worker.a\n" in text
    with pytest.raises(CommandError, match="name"):
        printed("channelinspect", "channel", "no name")


def test_inspect_a_socket(layer: BaseChannelLayer) -> None:
    layer.beat(a_process("interface", "a"))
    socket = "interface.a!abc"
    delivery = layer.prepare("websocket.connect", {"reply_channel": socket, "path": "/"})
    assert layer.send_batch([delivery._replace(client=Client(socket, 0, pack({"path": "/"})))]) == []
    for group in ("room-2", "room-1"):
        layer.group_add(group, socket)
    layer.group_add("room-3", "interface.a!other")
    text = printed("channelinspect", "socket", socket)
    assert "groups: room-1, room-2\n" in text
    assert f"client: {client_id(socket)}\n" in text
    assert "host: web-1\npid: 97\n" in text
    for other in ("interface.a!other", "interface.b!abc"):
        with pytest.raises(CommandError, match="has left"):
            printed("channelinspect", "socket", other)


def test_a_layer_inside_one_process() -> None:
    entry = {"BACKEND": "channels_classic.layers.InMemoryChannelLayer", "ROUTING": {}}
    with (
        override_settings(CHANNEL_LAYERS={"default": entry}),
        pytest.raises(CommandError, match="--monitor PORT"),
    ):
        printed("channelstatus")
