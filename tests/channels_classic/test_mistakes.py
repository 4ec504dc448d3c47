"""Mistakes of newcomers in settings and routing: each gives one line with the cause and the remedy."""

from __future__ import annotations

import asyncio
import logging
from functools import partial, wraps
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core import mail
from django.core.asgi import get_asgi_application
from django.core.checks import run_checks
from django.test import override_settings

import channels_classic.checks
from channels_classic import Channel, Group, lonely, routing
from channels_classic.apps import ChannelsClassicConfig
from channels_classic.asgi import channel_layers
from channels_classic.exceptions import InvalidChannelLayerError
from channels_classic.generic.websockets import WebsocketConsumer
from channels_classic.layers import InMemoryChannelLayer, LayerUnavailable
from channels_classic.message import Message
from channels_classic.outages import log_outage, log_return
from channels_classic.routing import Route, Router, include, null_consumer, route

MEMORY = "channels_classic.layers.InMemoryChannelLayer"
REDIS = "channels_classic.layers.RedisChannelLayer"


def error_of(**entry: Any) -> str:
    """The error about this entry of the setting; ``None`` leaves a key out."""
    whole = {"BACKEND": MEMORY, "ROUTING": {}, **entry}
    setting = {"default": {key: value for key, value in whole.items() if value is not None}}
    with override_settings(CHANNEL_LAYERS=setting), pytest.raises(InvalidChannelLayerError) as raised:
        channel_layers.make_backend("default")
    text = str(raised.value)
    assert "\n" not in text
    return text


# Settings.


@pytest.mark.parametrize("key", ["host", "Hosts", "url", "urls", "server", "address", "LOCATION"])
def test_another_name_for_hosts(key: str) -> None:
    text = error_of(BACKEND=REDIS, CONFIG={key: ["redis://:secret@example.com"]})
    if key != "LOCATION":  # not a word that a layer could have meant
        assert f"{key!r}, which means nothing here; did you mean 'hosts'?" in text
    assert "secret" not in text


def test_hosts_for_a_layer_without_servers() -> None:
    assert error_of(CONFIG={"hosts": ["redis://x"]}).endswith("Layers over Redis have 'hosts'.")


def test_no_backend() -> None:
    text = error_of(BACKEND=None)
    assert "has no 'BACKEND'" in text
    assert MEMORY in text
    assert REDIS in text


def test_no_routing_names_the_package_of_this_project() -> None:
    with override_settings(ROOT_URLCONF="seaside.urls"):
        assert "'ROUTING': 'seaside.routing.channel_routing'" in error_of(ROUTING=None)


def test_one_level_too_high() -> None:
    with override_settings(CHANNEL_LAYERS={"BACKEND": MEMORY, "ROUTING": {}}):
        with pytest.raises(InvalidChannelLayerError, match=r"one level deeper, as in .*'default': \{\.\.\.\}"):
            channel_layers.make_backend("default")
        assert [error.id for error in run_checks(tags=["channels"]) if error.id.startswith("channels.E")] == [
            "channels.E001"
        ]


@pytest.mark.parametrize(
    ("backend", "meant"),
    [("RedisChanelLayer", "RedisChannelLayer"), ("InMemoryLayer", "InMemoryChannelLayer")],
)
def test_a_misspelt_backend(backend: str, meant: str) -> None:
    assert f"did you mean {meant!r}?" in error_of(BACKEND=f"channels_classic.layers.{backend}")


class NoLayers:
    """Settings without ``CHANNEL_LAYERS``."""

    ROOT_URLCONF = "seaside.urls"


def test_no_setting_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels_classic.checks, "settings", NoLayers())
    (warning,) = channels_classic.checks.check_channel_layers(None)
    assert warning.id == "channels.W005"
    assert "WebSockets open and nothing answers" in warning.msg
    assert warning.hint is not None
    assert warning.hint.startswith("Begin with CHANNEL_LAYERS = {'default': ")
    assert "'seaside.routing.channel_routing'" in warning.hint


@pytest.mark.parametrize("name", ["CHANNEL_LAYER", "CHANNELS_LAYERS", "CHANNEL_LAYERS_"])
def test_another_name_for_the_setting(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = NoLayers()
    setattr(settings, name, {})
    monkeypatch.setattr(channels_classic.checks, "settings", settings)
    (warning,) = channels_classic.checks.check_channel_layers(None)
    assert warning.hint is not None
    assert warning.hint.startswith(f"The settings have {name}: rename it.")


@pytest.mark.parametrize("setting", [{"main": {"BACKEND": MEMORY, "ROUTING": {}}}, {}])
def test_no_default(setting: dict[str, Any]) -> None:
    with override_settings(CHANNEL_LAYERS=setting):
        assert "channels.W006" in [each.id for each in run_checks(tags=["channels"])]


@pytest.mark.parametrize(("key", "meant"), [("ENGINE", "BACKEND"), ("OPTIONS", "CONFIG"), ("routing", "ROUTING")])
def test_a_key_of_another_setting(key: str, meant: str) -> None:
    assert f"has a key {key!r}, which means nothing here; did you mean {meant!r}?" in error_of(**{key: "x"})


def test_a_keyword_of_the_layer_one_level_too_high() -> None:
    text = error_of(BACKEND=REDIS, hosts=["redis://:secret@example.com"])
    assert text.endswith("keywords for the layer, such as 'hosts', go into 'CONFIG'.")
    assert "secret" not in text


@pytest.mark.parametrize(
    "backend",
    [
        "channels_redis.nowhere.RedisChannelLayer",
        "channels_clasic.layers.RedisChannelLayer",
        "RedisChannelLayer",
        "django.core.cache.backends.locmem.LocMemCache",
        f"{__name__}.good",
        f"{__name__}.nothing",
        f"{__name__}.MEMORY",
    ],
)
def test_a_backend_that_is_none_of_ours(backend: str) -> None:
    text = error_of(BACKEND=backend)
    assert text.startswith("CHANNEL_LAYERS['default']['BACKEND']")
    assert f"The layers of channels-classic are {REDIS} and {MEMORY}." in text


@pytest.mark.parametrize("setting", [{"BACKEND": (MEMORY,)}, {"CONFIG": ({"capacity": 5},)}])
def test_a_comma_at_the_end_of_the_line(setting: dict[str, Any]) -> None:
    assert "a tuple, which a comma at the end makes: remove it." in error_of(**setting)


def test_no_hosts() -> None:
    assert "hosts is empty. Name a server, or leave hosts out" in error_of(BACKEND=REDIS, CONFIG={"hosts": []})


@pytest.mark.parametrize("config", [{"host": ["redis://:secret@x"]}, ["redis://:secret@x"], None])
def test_a_configuration_for_tests_is_checked_too(config: Any) -> None:
    entry = {"BACKEND": REDIS, "ROUTING": {}, "TEST_CONFIG": config}
    with override_settings(CHANNEL_LAYERS={"default": entry}):
        (error,) = run_checks(tags=["channels"])
    assert error.msg.startswith("CHANNEL_LAYERS['default']['TEST_CONFIG'] ")
    assert "secret" not in error.msg


# Routing.


class Plain:
    """A class that knows nothing of messages."""

    def receive(self, text: str) -> None:
        """Never called."""


class OfItsOwn:
    """A class that is made with a message."""

    def __init__(self, message: Message) -> None:
        """Take it."""


def nothing() -> None:
    """Take no message."""


def good(message: Message) -> None:
    """Take a message."""


def with_keywords(message: Message, room: str, *, more: str = "") -> None:
    """Take what filters find as well."""


@pytest.mark.parametrize(
    ("consumer", "part"),
    [
        (Plain, "Plain is no consumer, because it cannot be made with a message. Write a function"),
        (f"{__name__}.Plain", "derive the class from one in channels_classic.generic.websockets"),
        (nothing, "nothing() does not take the message: write nothing(message)."),
        ([good], "A message has one consumer"),
        ((good, good), "A message has one consumer"),
        (None, "Write its name without parentheses"),
        (routing, "Add the name of the function in it."),
        ("good", "it should be a module and a name in it, as in 'mysite.consumers.echo'"),
        ("mysite.consumers:echo", "write a dot for the colon: 'mysite.consumers.echo'"),
        (partial(good, None), "does not take the message: one argument has to be left for it."),
        ((good(None) for _ in ()), "Write its name without parentheses"),
        ({"/chat/": good}, "To route by path, write a list with route("),
        (f"{__name__}.goood", "has no attribute 'goood'; did you mean 'good'?"),
        ("channels_classic.routing", "Add the name of the function in it."),
        ("wsgiref.validate", "that is a module; add the name in it"),
        ("channels_classic.rooting.x", "has no attribute 'rooting'; did you mean 'routing'?"),
    ],
)
def test_invalid_consumers(consumer: Any, part: str) -> None:
    text = error_of(ROUTING={"websocket.receive": consumer})
    assert text.startswith("CHANNEL_LAYERS['default']['ROUTING']: In the routing, 'websocket.receive': ")
    assert part in text
    with pytest.raises((ValueError, ImportError)):
        Route("websocket.receive", consumer)


@pytest.mark.parametrize(
    "consumer",
    [
        good,
        with_keywords,
        partial(with_keywords, room="a"),
        OfItsOwn,
        WebsocketConsumer,
        print,
        SimpleNamespace,
        lambda *messages: None,
    ],
)
def test_valid_consumers(consumer: Any) -> None:
    assert Route("websocket.receive", consumer).consumer is consumer


def test_a_coroutine_is_closed() -> None:
    async def echo(message: Message) -> None:
        """Never awaited; the warning of Python would fail this test."""

    text = error_of(ROUTING={"websocket.receive": echo({})})  # type: ignore[arg-type]
    assert "not the coroutine of " in text
    assert "echo(). Write its name without parentheses" in text


class HasMethod:
    def receive(self, message: Message) -> None:
        """Not called: this class is not made by anybody."""


def of_another_framework(scope: Any, receive: Any, send: Any) -> None:
    """An application in the place of a consumer."""


def decorated(consumer: Any) -> Any:
    """A decorator that gives its consumer a room."""

    @wraps(consumer)
    def consume(message: Message) -> Any:
        return consumer(message, "room")

    return consume


ROOM = {"path": r"^/(?P<room>\w+)$"}


@pytest.mark.parametrize(
    ("route", "part"),
    [
        (route("websocket.receive", with_keywords), "cannot be called with the message, which is what it gets: "),
        (route("websocket.receive", of_another_framework), "missing a required argument: 'receive'"),
        (route("websocket.receive", lambda one, two: None), "missing a required argument: 'two'"),
        (route("websocket.receive", HasMethod.receive), "missing a required argument: 'message'"),
        (route("websocket.receive", good, **ROOM), "with the message and 'room', which is what it gets: "),
        (include([route("websocket.receive", good)], **ROOM), "an unexpected keyword argument 'room'"),
        (include([include([route("websocket.receive", good)])], **ROOM), "'room'"),
    ],
)
def test_a_consumer_with_other_arguments_than_it_gets(route: Any, part: str) -> None:
    for routes in ([route], [include([route])]):
        text = error_of(ROUTING=routes)
        assert part in text
        assert text.endswith("one argument for each named group in the filters of its route.")


@pytest.mark.parametrize(
    "route",
    [
        route("websocket.receive", with_keywords, **ROOM),
        include([route("websocket.receive", with_keywords)], **ROOM),
        route("websocket.receive", decorated(with_keywords)),
        route("websocket.receive", lambda message, **groups: None, **ROOM),
        route("websocket.receive", partial(with_keywords, room="a")),
        WebsocketConsumer.as_route(**ROOM),
    ],
)
def test_a_consumer_with_the_arguments_that_it_gets(route: Any) -> None:
    Router([route])


def test_a_pair_in_the_place_of_a_route() -> None:
    assert error_of(ROUTING=[("websocket.receive", good)]).endswith("Write route(...) around it.")


def test_a_path_in_the_place_of_a_route() -> None:
    assert error_of(ROUTING=["mysite.routing.routing"]).endswith("Write include(...) around it.")


@pytest.mark.parametrize("name", ["/chat/", r"^/chat/$"])
def test_a_path_in_the_place_of_a_channel(name: str) -> None:
    assert "To route by path, write a list with route(" in error_of(ROUTING={name: good})


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("from nowhere import echo\n", "No module named 'nowhere' (broken_routing.py, line 1)"),
        ("x = 1\nfrom os import nothing\n", "(broken_routing.py, line 2)"),
    ],
)
def test_a_broken_import_says_where(text: str, part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_routing.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert error_of(ROUTING="broken_routing.it").endswith(part)


def test_a_frame_without_a_consumer_is_one_line(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routing, "_told_of_frames", False)
    router = Router({})
    router.check_default()
    with caplog.at_level(logging.INFO, "django.channels"):
        for channel in ("websocket.disconnect", "websocket.receive", "websocket.receive"):
            message = Message({"path": "/x/"}, channel, None)
            match = router.match(message)
            assert match is not None
            assert match[0] is null_consumer
            null_consumer(message)
    assert [record.getMessage().partition(" Others")[0] for record in caplog.records] == [
        "A WebSocket on '/x/' sent a message that nothing handles: the routing has no 'websocket.receive'."
    ]


# The in-memory layer in a process without a worker.


@pytest.fixture
def outside_of_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(mail, "outbox")
    monkeypatch.setattr(lonely, "_warned", False)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "django.channels"]


@pytest.mark.usefixtures("outside_of_tests")
@pytest.mark.parametrize("target", [Channel, Group])
def test_a_message_that_reaches_nobody_is_one_warning(target: Any, caplog: pytest.LogCaptureFixture) -> None:
    layer = InMemoryChannelLayer()
    for _ in range(3):
        target("test", channel_layer=layer).send({"text": "x"})
    (line,) = lines(caplog)
    assert line.startswith("This message reaches nobody: InMemoryChannelLayer works inside one process")
    assert REDIS in line


@pytest.mark.usefixtures("outside_of_tests")
def test_no_warning_if_somebody_receives(caplog: pytest.LogCaptureFixture) -> None:
    for receive in (
        lambda layer: layer.receive_batch(["test"], 1),
        lambda layer: asyncio.run(layer.areceive_batch(["test"], 1, 0)),
    ):
        layer = InMemoryChannelLayer()
        receive(layer)
        Channel("test", channel_layer=layer).send({"text": "x"})  # type: ignore[arg-type]
    assert lines(caplog) == []


# Django's own ASGI application.


def test_a_websocket_to_djangos_own_application_is_rejected_with_a_line(caplog: pytest.LogCaptureFixture) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(event: Any) -> None:
        sent.append(event)

    async def scenario() -> None:
        application: Any = get_asgi_application()
        await application({"type": "websocket", "path": "/ws/", "headers": []}, receive, send)

    asyncio.run(scenario())
    assert sent == [{"type": "websocket.close"}]
    (line,) = lines(caplog)
    assert "A WebSocket to '/ws/' was rejected" in line
    assert "channels-interface" in line


# The app is missing.


def test_a_layer_without_the_app_is_a_warning(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.apps import apps

    monkeypatch.setattr(apps, "is_installed", lambda name: name != ChannelsClassicConfig.name)
    with override_settings(CHANNEL_LAYERS={"default": {"BACKEND": MEMORY, "ROUTING": {}}}):
        assert channel_layers["default"] is channel_layers["default"]
    (line,) = lines(caplog)
    assert line.startswith("'channels_classic' is not in INSTALLED_APPS: add it.")


# Outages.


def test_an_outage_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    layer, other = InMemoryChannelLayer(), InMemoryChannelLayer()
    for _ in range(5):
        log_outage(layer, LayerUnavailable("It is gone."))
    log_outage(other, LayerUnavailable("So is this."))
    for _ in range(5):
        log_return(layer)
    log_outage(layer, LayerUnavailable("Gone again."))
    started = "The channel layer cannot be reached; trying again."
    assert lines(caplog) == [
        f"{started} It is gone.",
        f"{started} So is this.",
        "The channel layer is back.",
        f"{started} Gone again.",
    ]


def test_routes_in_lists_are_looked_at_too() -> None:
    with pytest.raises(ValueError, match=r"nothing\(message\)"):
        route("websocket.receive", nothing, path=r"^/x/")
