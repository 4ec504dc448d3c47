"""Batches with asynchronous consumers end once, whoever comes to their end last."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from channels_classic import Channel
from channels_classic.layers import RedisChannelLayer
from channels_classic.message import Message
from channels_classic.routing import route
from tests.worker.conftest import REPLY, StartWorkers, layer_with, receive


@pytest.mark.parametrize("threads", [1, 3])
def test_a_consumer_that_ends_before_its_worker_leaves_the_batch(
    start_workers: StartWorkers, redis_url: str, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    """All that it sent has arrived while another message of the batch still runs. Each message runs once."""
    monkeypatch.setattr("worker.pace.Pace.limit", lambda pace: 10)
    runs: Counter[str] = Counter()

    async def quick(message: Message) -> None:
        runs[message["text"]] += 1
        Channel("arrived", channel_layer=layer).send({"text": message["text"]})

    def waits(message: Message) -> None:
        runs[message["text"]] += 1
        assert receive(layer, "arrived")["text"] == f"quick {message['text']}"
        message.reply_channel.send({"text": message["text"]})

    routing = [route("test", quick, kind="quick"), route("test", waits)]
    layer: Any = layer_with(routing, RedisChannelLayer(hosts=[redis_url]))
    for number in range(50):
        batch = [{"kind": "quick", "text": f"quick {number}"}, {"reply_channel": REPLY, "text": str(number)}]
        layer.send_batch([layer.prepare("test", message) for message in batch])
        if not number:
            start_workers(layer, threads)
        assert receive(layer)["text"] == str(number)
    assert set(runs.values()) == {1}
