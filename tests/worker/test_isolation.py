"""State that a consumer sets ends with its message: the consumer of the next client does not see it."""

from __future__ import annotations

import contextvars
import decimal
import threading
from typing import Any

import pytest
from asgiref.local import Local
from django.contrib.auth.models import User
from django.core.cache import caches
from django.db import InterfaceError, connection, transaction
from django.urls import get_script_prefix, get_urlconf, set_script_prefix, set_urlconf
from django.utils import timezone, translation

from channels_classic.message import Message
from channels_classic.routing import route
from channels_classic.test import Client, apply_routes
from tests.worker.conftest import REPLY, StartWorkers, eventually, layer_with, receive

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
local = Local()


def what_is_set() -> dict[str, Any]:
    return {
        "language": translation.get_language(),
        "zone": timezone.get_current_timezone_name(),
        "prefix": get_script_prefix(),
        "urlconf": get_urlconf(),
        "variable": variable.get(),
        "local": getattr(local, "value", None),
        "precision": decimal.getcontext().prec,
    }


def set_everything() -> None:
    translation.activate("de")
    timezone.activate("Asia/Kathmandu")
    set_script_prefix("/elsewhere/")
    set_urlconf("elsewhere")
    variable.set("a secret")
    local.value = "a secret"
    decimal.setcontext(decimal.Context(prec=3))


def consumer(message: Message) -> None:
    assert message.reply_channel is not None
    before = {**what_is_set(), "threads": threading.get_ident()}
    set_everything()
    if message["fail"]:
        raise RuntimeError("a bug")
    message.reply_channel.send(before)


@pytest.mark.parametrize("fail", [False, True])
def test_the_next_message_finds_none_of_it(start_workers: StartWorkers, fail: bool) -> None:
    layer = layer_with({"test": consumer})
    start_workers(layer, 1)
    clean = {**what_is_set()}
    layer.send("test", {"reply_channel": REPLY, "fail": fail})
    layer.send("test", {"reply_channel": REPLY, "fail": False})
    for _ in range(1 if fail else 2):
        found = receive(layer)
        assert {key: value for key, value in found.items() if key != "threads"} == clean


def test_it_is_the_same_with_the_client_of_tests() -> None:
    with apply_routes([route("test", consumer)]):
        client = Client()
        clean = what_is_set()
        for _ in range(2):
            client.send_and_consume("test", {"fail": False})
            found = client.receive()
            assert {key: value for key, value in found.items() if key != "threads"} == clean
        assert what_is_set() == clean


def test_caches_are_made_once_for_a_thread(start_workers: StartWorkers) -> None:
    """Otherwise a cache would connect for each message."""
    seen: list[Any] = []
    layer = layer_with({"test": lambda message: seen.append(caches["default"])})
    start_workers(layer, 1)
    for _ in range(3):
        layer.send("test", {})
    eventually(lambda: len(seen) == 3)
    assert len({id(cache) for cache in seen}) == 1


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_is_left_open_is_rolled_back(
    redis_url: str, start_workers: StartWorkers, caplog: pytest.LogCaptureFixture, tmp_path: Any, settings: Any
) -> None:
    states: list[Any] = []

    def leave_open(message: Message) -> None:
        connection.ensure_connection()
        transaction.atomic().__enter__()
        states.append(connection.in_atomic_block)

    def look(message: Message) -> None:
        connection.ensure_connection()
        states.append(connection.in_atomic_block)

    layer = layer_with({"first": leave_open, "then": look})
    start_workers(layer, 1)
    layer.send("first", {})
    eventually(lambda: states)
    layer.send("then", {})
    eventually(lambda: len(states) == 2)
    assert states == [True, False]
    assert "A consumer on 'first' left a database transaction open. It is rolled back." in caplog.messages


def test_a_connection_that_cannot_be_closed_costs_no_message(
    transactional_db: None, start_workers: StartWorkers, caplog: pytest.LogCaptureFixture
) -> None:
    """It has reached its age, or its server is gone, while the worker had nothing to do."""
    failed: list[Any] = []

    def fail() -> None:
        del connection.close
        failed.append(connection.vendor)
        raise InterfaceError("not connected")

    def connect(message: Message) -> None:
        connection.ensure_connection()
        answer(message)

    def answer(message: Message) -> None:
        message.reply_channel.send({"text": message["text"]})  # type: ignore[union-attr]

    def before(channel: str, message: Message) -> None:
        if channel == "then":
            connection.close_at, connection.close = 0, fail

    layer = layer_with({"first": connect, "then": answer})
    start_workers(layer, 1, callback=before)
    for text in ("first", "then"):
        layer.send(text, {"reply_channel": REPLY, "text": text})
        assert receive(layer) == {"text": text}
    assert failed == [connection.vendor]
    assert caplog.messages == ["A database connection could not be closed:"]


def test_a_test_in_a_transaction_keeps_it(db: None) -> None:
    from worker import Worker

    layer = layer_with(
        {"test": lambda message: User.objects.create_user("ada") and setattr(worker, "termed", True)}
    )
    worker = Worker(layer, signal_handlers=False)
    layer.send("test", {})
    worker.run()
    assert User.objects.count() == 1
