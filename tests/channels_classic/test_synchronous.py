"""Consumers that would never run are refused, wherever their ``async`` is."""

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
from channels_classic.routing import Router, include, route, route_class
from channels_classic.security.websockets import allowed_hosts_only
from channels_classic.sessions import channel_session, enforce_ordering
from channels_classic.synchronous import UnfinishedError, check_synchronous
from channels_classic.test import Client, apply_routes


async def coroutine(message: Any, **kwargs: Any) -> None:
    raise DenyConnection


async def agenerator(message: Any) -> AsyncIterator[None]:
    yield


def generator(message: Any) -> Iterator[None]:
    yield


class Callable_:
    async def __call__(self, message: Any) -> None: ...

    async def method(self, message: Any) -> None: ...

    @classmethod
    async def class_method(cls, message: Any) -> None: ...

    @staticmethod
    async def static_method(message: Any) -> None: ...


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


ASYNCHRONOUS = [
    coroutine,
    agenerator,
    generator,
    Callable_(),
    Inherits(),
    Callable_().method,
    Callable_.class_method,
    Callable_.static_method,
    functools.partial(coroutine, room="a"),
    functools.partial(functools.partial(Callable_()), room="a"),
    channel_session(coroutine),
    enforce_ordering(coroutine),
    enforce_ordering(slight=True)(channel_session_user(coroutine)),
    channel_session_user_from_http(functools.partial(coroutine)),
    allowed_hosts_only(coroutine),
    AsyncSocket,
    DecoratedSocket,
    Mapped,
]


@pytest.mark.parametrize("consumer", ASYNCHRONOUS, ids=range(len(ASYNCHRONOUS)))
def test_they_are_refused(consumer: Any) -> None:
    with pytest.raises(ValueError, match="it would never run") as caught:
        route("websocket.connect", consumer)
    assert "async_to_sync" in str(caught.value)


@pytest.mark.parametrize("consumer", [AsyncSocket, DecoratedSocket, Mapped])
def test_classes_are_refused(consumer: Any) -> None:
    with pytest.raises(ValueError, match=f"{consumer.__name__} has .* as its method (connect|receive|handle): "):
        route_class(consumer)


@pytest.mark.parametrize(
    "routing",
    [
        {"websocket.connect": coroutine},
        {"websocket.connect": f"{__name__}.coroutine"},
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
        return [include([route("websocket.connect", coroutine)])]
    raise AttributeError(name)


def wraps_and_runs(consumer: Any) -> Any:
    @functools.wraps(consumer)
    def run(*args: Any, **kwargs: Any) -> Any:
        return asyncio.run(consumer(*args, **kwargs))

    return run


class Helped(Socket):
    """A helper of one's own may be asynchronous: the consumer itself calls it."""

    async def fetch(self) -> None: ...


@pytest.mark.parametrize(
    "consumer", [async_to_sync(coroutine), wraps_and_runs(coroutine), Helped, print, Client, lambda message: None]
)
def test_what_runs_is_taken(consumer: Any) -> None:
    check_synchronous(consumer)


def hides(consumer: Any) -> Any:
    def inner(message: Any, **kwargs: Any) -> Any:
        return consumer(message, **kwargs)

    return inner


def test_the_client_of_tests_tells_too() -> None:
    with (
        apply_routes([route("test", hides(coroutine))]),
        pytest.raises(UnfinishedError, match="it would never run"),
    ):
        Client().send_and_consume("test", {})


def test_a_routing_of_what_runs() -> None:
    assert Router({"websocket.connect": async_to_sync(coroutine)}).channels == {"websocket.connect"}
