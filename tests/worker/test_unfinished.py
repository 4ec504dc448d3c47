"""A consumer that returns a generator has failed, and its client is told."""

from __future__ import annotations

import gc
import warnings
from typing import Any

import pytest

from tests.channels_classic.test_unfinished import agenerator, generator, hides
from tests.worker.conftest import REPLY, StartWorkers, layer_with, receive


async def late(message: Any) -> Any:
    return generator(message)


@pytest.mark.parametrize(
    "consumer",
    [hides(agenerator), hides(generator), late],
    ids=["asynchronous generator", "generator", "result of a coroutine"],
)
def test_an_unfinished_result_is_an_error(
    start_workers: StartWorkers, caplog: pytest.LogCaptureFixture, consumer: Any
) -> None:
    layer = layer_with({"websocket.connect": consumer, "http.request": consumer, "next": lambda message: None})
    start_workers(layer, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer.send("websocket.connect", {"reply_channel": REPLY})
        assert receive(layer) == {"close": True}
        layer.send("http.request", {"reply_channel": REPLY})
        assert receive(layer)["status"] == 500
        gc.collect()
    texts = [str(record.exc_info[1]) for record in caplog.records if record.exc_info]
    assert len(texts) == 2
    assert all("it would never run" in text for text in texts)
