"""Whatever is logged for a client has its id, from the consumer to the last part of an answer that lasts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from django.http import HttpRequest, StreamingHttpResponse
from django.urls import path

from channels_classic.handler import ViewConsumer
from channels_classic.log_context import ClientFilter, client_id
from channels_classic.message import Message
from tests.http_messages import REQUEST
from tests.worker.conftest import REPLY, StartWorkers, eventually, layer_with

pytestmark = pytest.mark.urls(__name__)

lines = logging.getLogger("radio")


def parts(request: HttpRequest) -> StreamingHttpResponse:
    def content() -> Iterator[str]:
        for number in range(3):
            lines.warning("part %d", number)
            yield "x" * 600_000
        raise RuntimeError("a bug")

    return StreamingHttpResponse(content())


def asynchronous_parts(request: HttpRequest) -> StreamingHttpResponse:
    async def content() -> AsyncIterator[str]:
        for number in range(3):
            await asyncio.sleep(0)
            lines.warning("part %d", number)
            yield "x" * 600_000
        raise RuntimeError("a bug")

    return StreamingHttpResponse(content())


async def asynchronous_view(request: HttpRequest) -> StreamingHttpResponse:
    await asyncio.sleep(0)
    return asynchronous_parts(request)


urlpatterns = [path("parts/", parts), path("async/", asynchronous_parts), path("view/", asynchronous_view)]


async def speak(message: Message) -> None:
    lines.warning("part 0")
    await asyncio.sleep(0.01)
    lines.warning("part 1")
    lines.warning("part 2")
    raise RuntimeError("a bug")


class Lines(logging.Handler):
    """The lines of one test, each with the id of its client."""

    def __init__(self) -> None:
        super().__init__()
        self.addFilter(ClientFilter())
        self.seen: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append((record.getMessage(), getattr(record, "client", "")))


@pytest.fixture
def seen() -> Iterator[list[tuple[str, str]]]:
    handler = Lines()
    loggers = [logging.getLogger(name) for name in ("radio", "django.channels")]
    for logger in loggers:
        logger.addHandler(handler)
    yield handler.seen
    for logger in loggers:
        logger.removeHandler(handler)


@pytest.mark.parametrize(
    ("channel", "content"),
    [
        ("http.request", {**REQUEST, "path": "/parts/"}),
        ("http.request", {**REQUEST, "path": "/async/"}),
        ("http.request", {**REQUEST, "path": "/view/"}),
        ("websocket.receive", {"path": "/", "order": 1, "text": "hello"}),
    ],
    ids=["parts", "asynchronous parts", "asynchronous view", "asynchronous consumer"],
)
def test_every_line(
    seen: list[tuple[str, str]], start_workers: StartWorkers, channel: str, content: dict[str, Any]
) -> None:
    layer = layer_with({"http.request": ViewConsumer(), "websocket.receive": speak}, capacity=10_000)
    start_workers(layer)
    layer.send(channel, {**content, "reply_channel": REPLY})
    eventually(lambda: any("rror in the " in text for text, _ in seen))
    assert [text for text, _ in seen][:3] == ["part 0", "part 1", "part 2"]
    assert {client for _, client in seen} == {client_id(REPLY)}
