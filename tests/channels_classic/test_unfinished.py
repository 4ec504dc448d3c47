"""Consumers that would never run are refused, for any place of ``yield`` or ``async``."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.checks import run_checks
from django.test import override_settings

from channels_classic.auth import channel_session_user, channel_session_user_from_http
from channels_classic.exceptions import DenyConnection
from channels_classic.generic.websockets import WebsocketConsumer
from channels_classic.routing import Router, include, route, route_class
from channels_classic.security.websockets import allowed_hosts_only
from channels_classic.sessions import channel_session, enforce_ordering
from channels_classic.test import Client, apply_routes
from channels_classic.unfinished import UnfinishedError, check_runs


async def coroutine(message: Any, **kwargs: Any) -> None:
    raise DenyConnection


async def agenerator(message: Any) -> AsyncIterator[None]:
    yield


def generator(message: Any) -> Iterator[None]:
    yield


class Callable_:
    def __call__(self, message: Any) -> Iterator[None]:
        yield

    async def method(self, message: Any) -> AsyncIterator[None]:
        yield

    @classmethod
    def class_method(cls, message: Any) -> Iterator[None]:
        yield

    @staticmethod
    async def static_method(message: Any) -> AsyncIterator[None]:
        yield


class Inherits(Callable_):
    pass


class Socket:
    """A consumer class that does not come from us."""

    def __init__(self, message: Any, **kwargs: Any) -> None: ...

    def connect(self, message: Any, **kwargs: Any) -> None: ...

    def receive(self, message: Any, **kwargs: Any) -> None: ...

    @classmethod
    def channel_names(cls) -> set[str]:
        return {"queue"}


class AsyncSocket(Socket):
    async def connect(self, message: Any, **kwargs: Any) -> None: ...  # type: ignore[override]


class DecoratedSocket(Socket):
    @channel_session
    async def receive(self, message: Any, **kwargs: Any) -> None: ...  # type: ignore[override]


class Mapped:
    method_mapping = {"queue": "handle"}

    async def handle(self, message: Any) -> None: ...

    @classmethod
    def channel_names(cls) -> set[str]:
        return set(cls.method_mapping)


class GeneratorSocket(Socket):
    def receive(self, message: Any, **kwargs: Any) -> Iterator[None]:  # type: ignore[override]
        yield


class OurSocket(WebsocketConsumer):
    def receive(self, *args: Any, **kwargs: Any) -> Iterator[None]:
        yield


UNFINISHED = [
    agenerator,
    generator,
    Callable_(),
    Inherits(),
    Callable_().method,
    Callable_.class_method,
    Callable_.static_method,
    functools.partial(generator, room="a"),
    functools.partial(functools.partial(Callable_()), room="a"),
    channel_session(generator),
    enforce_ordering(agenerator),
    enforce_ordering(slight=True)(channel_session_user(generator)),
    channel_session_user_from_http(functools.partial(generator)),
    allowed_hosts_only(agenerator),
    AsyncSocket,
    DecoratedSocket,
    Mapped,
    GeneratorSocket,
    OurSocket,
]


@pytest.mark.parametrize("consumer", UNFINISHED, ids=range(len(UNFINISHED)))
def test_they_are_refused(consumer: Any) -> None:
    with pytest.raises(ValueError, match="it would never run"):
        route("websocket.connect", consumer)


@pytest.mark.parametrize("consumer", [AsyncSocket, DecoratedSocket, Mapped, GeneratorSocket])
def test_classes_are_refused(consumer: Any) -> None:
    with pytest.raises(ValueError, match=f"{consumer.__name__} has .* as its method (connect|receive|handle): "):
        route_class(consumer)


@pytest.mark.parametrize(
    "routing",
    [
        {"websocket.connect": generator},
        {"websocket.connect": f"{__name__}.generator"},
        {"websocket.connect": f"{__name__}.Callable_.method"},
        f"{__name__}.bad_routing",
    ],
)
def test_the_system_check_tells(routing: Any) -> None:
    entry = {"BACKEND": "channels_classic.layers.InMemoryChannelLayer", "ROUTING": routing}
    with override_settings(CHANNEL_LAYERS={"default": entry}):
        (error,) = (found for found in run_checks() if found.id == "channels.E001")
    assert "CHANNEL_LAYERS['default']['ROUTING']" in error.msg
    assert "it would never run" in error.msg


def __getattr__(name: str) -> Any:
    if name == "bad_routing":
        return [include([route("websocket.connect", generator)])]
    raise AttributeError(name)


def wraps_and_runs(consumer: Any) -> Any:
    @functools.wraps(consumer)
    def run(*args: Any, **kwargs: Any) -> Any:
        return asyncio.run(consumer(*args, **kwargs))

    return run


class Helped(Socket):
    """A helper method may be asynchronous, because the consumer itself calls it."""

    async def fetch(self) -> None: ...


@pytest.mark.parametrize(
    "consumer",
    [coroutine, async_to_sync(coroutine), wraps_and_runs(coroutine), Helped, print, Client, lambda message: None],
)
def test_consumers_that_run_are_accepted(consumer: Any) -> None:
    check_runs(consumer)


def hides(consumer: Any) -> Any:
    def inner(message: Any, **kwargs: Any) -> Any:
        return consumer(message, **kwargs)

    return inner


def test_the_client_of_tests_tells_too() -> None:
    with (
        apply_routes([route("test", hides(generator))]),
        pytest.raises(UnfinishedError, match="it would never run"),
    ):
        Client().send_and_consume("test", {})


def test_a_routing_with_valid_consumers() -> None:
    assert Router({"websocket.connect": async_to_sync(coroutine)}).channels == {"websocket.connect"}
