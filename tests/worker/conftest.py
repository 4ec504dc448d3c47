"""Workers on a layer in memory, and clients that get what they answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.layers import BaseChannelLayer, InMemoryChannelLayer
from worker import WorkerGroup

DEADLINE = 60  # seconds after which what should happen has not happened

CLIENTS = "interface.test!"
REPLY = f"{CLIENTS}client"
"""A reply channel, as an interface server would make one."""

Consumer = Callable[..., Any]
StartWorkers = Callable[..., WorkerGroup]


def layer_with(routing: Any, layer: BaseChannelLayer | None = None, **config: Any) -> Any:
    """A layer with its routing, as the settings would make it."""
    return ChannelLayerWrapper(layer or InMemoryChannelLayer(**config), "default", routing)


@pytest.fixture
def start_workers() -> Iterator[StartWorkers]:
    """Starts workers on a layer, and stops them and closes it at the end of the test."""
    with ExitStack() as stack:

        def start(layer: Any, n_threads: int = 1, **options: Any) -> WorkerGroup:
            group = WorkerGroup(layer, n_threads, signal_handlers=False, **options)
            stack.callback(layer.channel_layer.close)
            group.start()
            stack.callback(group.stop)
            return group

        yield start


def receive(layer: Any, channel: str = CLIENTS) -> dict[str, Any]:
    """The content of the next message on a channel. By default it is the next one to any client."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        _, content = layer.receive([channel], block=True)
        if content is not None:
            return dict(content)
    raise AssertionError(f"no message on {channel}")


def is_empty(layer: Any, channel: str = CLIENTS) -> bool:
    return bool(layer.receive([channel]) == (None, None))


def eventually(condition: Callable[[], Any]) -> Any:
    """Wait for a condition, up to the deadline. Returns its value."""
    deadline = time.monotonic() + DEADLINE
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)
    return value
