"""What ``manage.py check`` says about the settings."""

import pytest
from django.contrib.sessions.backends import signed_cookies
from django.core.checks import run_checks
from django.test import override_settings

from channels_classic.layers import InMemoryChannelLayer, LayerUnavailable
from channels_classic.routing import include

# Newer versions of Django look into the database for a check of their own.
pytestmark = pytest.mark.django_db

MEMORY = "channels_classic.layers.InMemoryChannelLayer"
GOOD = {"BACKEND": MEMORY, "ROUTING": {}}


def errors(setting):
    with override_settings(CHANNEL_LAYERS=setting):
        return [(error.id, error.msg) for error in run_checks() if error.id.startswith("channels.")]


def test_a_good_setting_passes():
    assert errors({"default": GOOD}) == []


@pytest.mark.parametrize(
    ("setting", "part"),
    [
        (None, "CHANNEL_LAYERS must be a dict"),
        ({"default": None}, "CHANNEL_LAYERS['default'] must be a dict"),
        ({"default": {"BACKEND": MEMORY}}, "no 'ROUTING'"),
        ({"default": {**GOOD, "BACKEND": "nowhere.Layer"}}, "'nowhere.Layer'"),
        ({"default": {**GOOD, "BACKEND": "Layer"}}, "'Layer'"),
        ({"default": {**GOOD, "ROUTING": "nowhere.routing"}}, "'nowhere.routing'"),
        ({"default": {**GOOD, "ROUTING": "tests.urls.nowhere"}}, "'tests.urls.nowhere'"),
        ({"default": {**GOOD, "ROUTING": {"queue": "nowhere.consumer"}}}, "'nowhere.consumer'"),
        ({"default": {**GOOD, "ROUTING": {"queue": "tests.urls.nowhere"}}}, "'tests.urls.nowhere'"),
        ({"default": {**GOOD, "ROUTING": {"queue": 5}}}, "not 5"),
        ({"default": {**GOOD, "ROUTING": 5}}, "not 5"),
        ({"default": {**GOOD, "CONFIG": {"capacity": 0}}}, "capacity"),
        ({"default": {**GOOD, "CONFIG": {"speed": 9}}}, "speed"),
    ],
)
def test_a_bad_setting_is_one_error_that_names_it(setting, part):
    ((identity, text),) = errors(setting)
    assert identity == "channels.E001"
    assert part in text


def test_every_alias_is_looked_at():
    bad = {**GOOD, "BACKEND": "nowhere.Layer"}
    found = errors({"one": bad, "default": GOOD, "two": bad})
    assert [text.partition("'nowhere")[0] for _, text in found] == [
        f"CHANNEL_LAYERS['{alias}']['BACKEND']: Cannot find the channel layer class " for alias in ("one", "two")
    ]


class RaisingLayer(InMemoryChannelLayer):
    """Raises what the test wants: when it is made, or when it is closed."""

    def __init__(self, error, at="__init__", password=""):
        super().__init__()
        self.error, self.at, self.password = error, at, password
        self.do("__init__")

    def do(self, step):
        if self.at == step:
            raise self.error(f"cannot do it with {self.password}")

    def close(self):
        self.do("close")


@pytest.mark.parametrize("at", ["__init__", "close"])
@pytest.mark.parametrize("error", [RuntimeError, KeyError, OSError, ValueError, AttributeError])
def test_a_layer_that_raises_anything_is_one_error(error, at):
    config = {"error": error, "at": at, "password": "hunter2"}
    found = errors({"default": {**GOOD, "BACKEND": f"{__name__}.RaisingLayer", "CONFIG": config}})
    ((identity, text),) = found
    assert identity == "channels.E001"
    assert "CHANNEL_LAYERS['default']" in text
    assert "cannot do it with ***" in text


def test_an_unreachable_sentinel_is_a_warning_without_a_traceback():
    backend = "channels_classic.layers.RedisSentinelChannelLayer"
    config = {"hosts": [("127.0.0.1", 1)]}
    assert [each for each, _ in errors({"default": {**GOOD, "BACKEND": backend, "CONFIG": config}})] in (
        [],
        ["channels.W003"],
    )


def test_a_layer_that_cannot_be_reached_is_a_warning():
    config = {"error": LayerUnavailable}
    found = errors({"default": {**GOOD, "BACKEND": f"{__name__}.RaisingLayer", "CONFIG": config}})
    ((identity, text),) = found
    assert identity == "channels.W003"
    assert text.startswith("CHANNEL_LAYERS['default'] cannot be used now: cannot do it")


def test_a_routing_that_cannot_be_imported_is_one_error(tmp_path, monkeypatch):
    (tmp_path / "bad_routing.py").write_text("routing = undefined\n")
    monkeypatch.syspath_prepend(tmp_path)
    ((identity, text),) = errors({"default": {**GOOD, "ROUTING": "bad_routing.routing"}})
    assert identity == "channels.E001"
    assert "name 'undefined' is not defined" in text


@pytest.mark.parametrize(
    ("channel", "meant"),
    [
        ("websocket.recieve", "websocket.receive"),
        ("websocket.receieve", "websocket.receive"),
        ("websockets.receive", "websocket.receive"),
        ("websocket_receive", "websocket.receive"),
        ("WebSocket.Receive", "websocket.receive"),
        ("websocket.message", "websocket.receive"),
        ("http.requests", "http.request"),
        ("http.reqeust", "http.request"),
        ("HTTP.request", "http.request"),
        ("http.disconnected", "http.disconnect"),
        ("websocket.connected", "websocket.connect"),
        ("websocket.conect", "websocket.connect"),
        ("websocket.disconect", "websocket.disconnect"),
        ("websocket.close", "websocket.disconnect"),
    ],
)
@pytest.mark.parametrize("included", [False, True])
def test_a_misspelt_channel_is_a_warning(channel, meant, included):
    routing = {channel: consumer}
    if included:
        routing = [include(routing, path="^/chat")]
    with override_settings(CHANNEL_LAYERS={"default": {**GOOD, "ROUTING": routing}}):
        (warning,) = (found for found in run_checks() if found.id == "channels.W002")
    assert f"CHANNEL_LAYERS['default']['ROUTING'] routes the channel {channel!r}" in warning.msg
    assert f"Did you mean {meant!r}?" in warning.hint


@pytest.mark.parametrize(
    "channel",
    [
        "http.request",
        "websocket.receive",
        "asgi.delay",
        "chat.receive",
        "chat-messages",
        "thumbnails",
        "binding.chat",
    ],
)
def test_other_channels_are_fine(channel):
    assert errors({"default": {**GOOD, "ROUTING": {channel: consumer}}}) == []


def consumer(message):
    """A consumer."""


@pytest.mark.parametrize("engine", ["django.contrib.sessions.backends.signed_cookies", __name__])
def test_sessions_in_signed_cookies_are_a_warning(settings, engine):
    settings.SESSION_ENGINE = engine
    (warning,) = (found for found in run_checks() if found.id == "channels.W001")
    assert not warning.is_serious()
    assert f"SESSION_ENGINE is {engine!r}" in warning.msg
    assert "cached_db" in warning.hint
    settings.SILENCED_SYSTEM_CHECKS = ["channels.W001"]
    assert warning.is_silenced()


@pytest.mark.parametrize(
    "engine", ["django.contrib.sessions.backends.cache", "channels_classic.session_engine", "nowhere.engine", "os"]
)
def test_other_sessions_are_fine(settings, engine):
    settings.SESSION_ENGINE = engine
    assert [found for found in run_checks() if found.id == "channels.W001"] == []


class SessionStore(signed_cookies.SessionStore):
    """An engine of a project's own, which this module is."""


def test_an_error_of_a_routing_is_told_without_passwords(tmp_path, monkeypatch):
    (tmp_path / "telling.py").write_text("raise RuntimeError('cannot reach redis://user:secret@example.com/0')\n")
    monkeypatch.syspath_prepend(tmp_path)
    ((_, text),) = errors({"default": {**GOOD, "ROUTING": "telling.it"}})
    assert "RuntimeError: cannot reach redis://***@example.com/0" in text
    assert "secret" not in text
