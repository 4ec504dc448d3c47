"""A channel layer that a project wrote for Channels 1: the classic calls, and nothing else."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from typing import Any

import pytest

from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.channel import Channel, Group
from channels_classic.layers import ChannelFull
from channels_classic.layers.types import Turn
from channels_classic.legacy.base_layer import BaseChannelLayer
from tests.worker.conftest import receive
from worker import WorkerGroup


class ProjectLayer(BaseChannelLayer):
    """As its project wrote it; ``receive`` never waits, which the specification of then allowed."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self.queues: dict[str, deque[dict[str, Any]]] = defaultdict(deque)
        self.groups: dict[str, set[str]] = defaultdict(set)
        self.lock = threading.Lock()

    def send(self, channel: str, message: dict[str, Any]) -> None:
        assert self.valid_channel_name(channel)
        with self.lock:
            if len(self.queues[self.non_local_name(channel)]) >= self.get_capacity(channel):
                raise self.ChannelFull
            self.queues[self.non_local_name(channel)].append({**message, "__name__": channel})

    def receive(self, channels: Any, block: bool = False) -> Any:
        assert self.valid_channel_names(channels, receive=True)
        with self.lock:
            for channel in channels:
                if self.queues[channel]:
                    message = self.queues[channel].popleft()
                    return message.pop("__name__"), message
        return None, None

    def group_add(self, group: str, channel: str) -> None:
        assert self.valid_group_name(group)
        self.groups[group].add(channel)

    def group_discard(self, group: str, channel: str) -> None:
        self.groups[group].discard(channel)

    def send_group(self, group: str, message: dict[str, Any]) -> None:
        for channel in self.groups[group]:
            self.send(channel, message)


def test_workers_run_on_it() -> None:
    def consumer(message: Any) -> None:
        Group("room", channel_layer=message.channel_layer).add(message.reply_channel)
        Group("room", channel_layer=message.channel_layer).send({"to": "room"})
        message.reply_channel.send({"to": "client"})

    layer = ChannelLayerWrapper(ProjectLayer(), "default", {"queue": consumer})
    group = WorkerGroup(layer, 2, signal_handlers=False)
    group.start()
    Channel("queue", channel_layer=layer).send({"reply_channel": "interface.test!client"})
    assert [receive(layer), receive(layer)] == [{"to": "room"}, {"to": "client"}]
    group.stop()


def test_batches() -> None:
    layer = ProjectLayer(capacity=3)
    deliveries = [layer.prepare("a", {"number": number}) for number in range(5)]
    assert layer.send_batch([*deliveries, layer.prepare("b", {})]) == [3, 4]
    batch = layer.receive_batch(["a", "b"], 10, timeout=5)
    assert [(each.channel, each.content) for each in batch] == [
        ("a", {"number": 0}),
        ("a", {"number": 1}),
        ("a", {"number": 2}),
        ("b", {}),
    ]
    assert layer.receive_batch(["a"], 1, timeout=0.05) == []
    layer.give_back(batch)
    assert len(layer.receive_batch(["a", "b"], 3)) == 3
    for _ in range(3):
        layer.send("c", {})
    with pytest.raises(ChannelFull):
        layer.send("c", {})


def test_missing_methods_are_named() -> None:
    class Nothing(BaseChannelLayer):
        pass

    layer = Nothing()
    with pytest.raises(NotImplementedError, match=r"Nothing has to define send\(channel, message\)"):
        layer.send("a", {})
    with pytest.raises(NotImplementedError, match="Nothing lacks the extension 'groups'"):
        layer.group_add("a", "b")
    with pytest.raises(NotImplementedError, match="Nothing lacks the extension 'ordering'"):
        layer.enter_turn(Turn("a", 0, "b"), {})
    for name, receivable in (("a b", False), ("a!b", True), (1, False)):
        with pytest.raises(TypeError):
            layer.valid_channel_name(name, receivable)
