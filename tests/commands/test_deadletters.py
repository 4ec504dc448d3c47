"""``manage.py deadletters``: the messages that killed their workers too often."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from channels_classic.asgi import channel_layers
from channels_classic.layers import BaseChannelLayer, Process

LAYER = {
    "BACKEND": "channels_classic.layers.InMemoryChannelLayer",
    "ROUTING": {},
    "CONFIG": {"at_least_once": ["mail"], "max_deliveries": 1},
}


@pytest.fixture
def layer() -> Iterator[BaseChannelLayer]:
    with override_settings(CHANNEL_LAYERS={"default": LAYER}):
        yield channel_layers["default"].channel_layer


def die_with(layer: BaseChannelLayer, **content: Any) -> None:
    """Let a worker die with a message."""
    process = Process("worker.test", {"kind": "worker", "threads": 1})
    layer.beat(process)
    taker = layer.taker(process.name, 0)
    layer.send("mail", content)
    assert layer.receive_batch(["mail"], 1, taker=taker)
    layer.sweep(process, lambda process: None)
    layer._processes.clear()  # type: ignore[attr-defined]


def printed(*arguments: str) -> str:
    output = StringIO()
    call_command("deadletters", *arguments, stdout=output, no_color=True)
    return output.getvalue()


def test_none_at_all(layer: BaseChannelLayer) -> None:
    assert printed("list") == "There are no dead letters.\n"
    assert json.loads(printed("list", "--json")) == []
    assert printed("retry", "--all") == "0 of 0 dead letters sent to their channels again.\n"


def test_they_are_listed_and_shown(layer: BaseChannelLayer) -> None:
    die_with(layer, to="ann", body=b"\xff hello")
    die_with(layer, to="bob")
    first, second = layer.dead_letters()
    lines = printed("list").splitlines()
    assert [line.split()[0] for line in lines] == [first.identity, second.identity]
    assert all(" mail " in line and "\x1b" not in line for line in lines)
    text = printed("show", first.identity)
    assert "channel: mail" in text
    assert '"to": "ann"' in text
    [shown] = json.loads(printed("show", "--json", first.identity))
    assert shown["content"] == {"to": "ann", "body": "\\xff hello"}
    assert shown["deliveries"] == 1


def test_one_is_sent_again(layer: BaseChannelLayer) -> None:
    die_with(layer, to="ann")
    die_with(layer, to="bob")
    [identity, _] = [letter.identity for letter in layer.dead_letters()]
    assert printed("retry", identity) == "1 of 1 dead letters sent to their channels again.\n"
    [received] = layer.receive_batch(["mail"], 10)
    assert (received.content, received.deliveries) == ({"to": "ann"}, 1)
    assert len(layer.dead_letters()) == 1


def test_all_are_dropped(layer: BaseChannelLayer) -> None:
    die_with(layer, to="ann")
    die_with(layer, to="bob")
    assert len(json.loads(printed("drop", "--all", "--json"))) == 2
    assert layer.dead_letters() == []
    assert layer.receive_batch(["mail"], 10) == []


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["show"], "Say which: deadletters show ID. 'deadletters list' shows them."),
        (["drop"], "Say which: deadletters drop ID. 'deadletters list' shows them."),
        (["show", "zzz"], "There is no dead letter with an ID that begins with 'zzz'."),
        (["show", ""], "There are 2 dead letters with an ID that begins with ''."),
        (["drop", "--all", "zzz"], "Give either --all or an ID."),
        (["list", "--layer", "other"], "CHANNEL_LAYERS has no 'other'; it has: 'default'."),
    ],
)
def test_invalid_options_are_one_line(layer: BaseChannelLayer, arguments: list[str], line: str) -> None:
    die_with(layer, to="ann")
    die_with(layer, to="bob")
    with pytest.raises(CommandError) as caught:
        printed(*arguments)
    assert str(caught.value) == line
    assert len(layer.dead_letters()) == 2
