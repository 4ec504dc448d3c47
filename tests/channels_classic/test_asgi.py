"""The layers of the setting ``CHANNEL_LAYERS``."""

import copy
import subprocess
import sys
import threading
import traceback

import pytest
from django.conf import settings
from django.test import override_settings

from channels_classic.asgi import ChannelLayerManager, ChannelLayerWrapper, channel_layers, get_channel_layer
from channels_classic.exceptions import InvalidChannelLayerError
from channels_classic.layers import InMemoryChannelLayer, RedisChannelLayer
from channels_classic.message import Message
from channels_classic.routing import Router, route

MEMORY = "channels_classic.layers.InMemoryChannelLayer"
REDIS = "channels_classic.layers.RedisChannelLayer"


def consumer(message):
    """A consumer."""


def other_consumer(message):
    """Another."""


routing = [route("queue", consumer)]


class SlowLayer(InMemoryChannelLayer):
    """A layer that takes long to make, so that two threads need it at the same time."""

    made = 0

    def __init__(self, **config):
        type(self).made += 1
        threading.Event().wait(0.05)
        super().__init__(**config)


class OldLayer(InMemoryChannelLayer):
    """Overrides a call as it was before takers."""

    def receive_batch(self, channels, limit, timeout=0):
        return super().receive_batch(channels, limit, timeout)


class OldCombinedLayer(InMemoryChannelLayer):
    """Overrides another one."""

    def send_and_receive(self, deliveries, channels, limit):
        return super().send_and_receive(deliveries, channels, limit)


class CurrentLayer(InMemoryChannelLayer):
    """Overrides calls in ways that all fit."""

    def send_batch(self, messages):
        return super().send_batch(messages)

    def receive_batch(self, *args, **kwargs):
        return super().receive_batch(*args, **kwargs)

    def give_back(self, batch, taker=None, more=None):
        return super().give_back(batch, taker)

    def set_value(self, name, value, seconds, replace):
        return super().set_value(name, value, seconds, replace)


def entry(**changes):
    """An entry of the setting; ``None`` leaves a key out."""
    whole = {"BACKEND": MEMORY, "ROUTING": {}, **changes}
    return {key: value for key, value in whole.items() if value is not None}


def setting(**changes):
    return override_settings(CHANNEL_LAYERS={"default": entry(**changes)})


class TestChannelLayers:
    def test_a_layer_is_made_after_the_setting(self):
        with setting(CONFIG={"capacity": 7}, ROUTING=f"{__name__}.routing"):
            layer = channel_layers["default"]
            assert isinstance(layer.channel_layer, InMemoryChannelLayer)
            assert layer.channel_layer.capacity == 7
            assert layer.alias == "default"
            assert layer.routing == f"{__name__}.routing"
            assert isinstance(layer.router, Router)
            assert layer.router.channels == {"queue"}
            assert repr(layer) == "<channel layer 'default': InMemoryChannelLayer>"

    def test_it_does_what_the_bare_layer_does(self):
        with setting(CONFIG={"capacity": 1}):
            layer = channel_layers["default"]
            layer.send("queue", {"number": 1})
            with pytest.raises(layer.ChannelFull):
                layer.send("queue", {})
            assert layer.channel_layer.receive(["queue"]) == ("queue", {"number": 1})
            assert layer.extensions == InMemoryChannelLayer.extensions
            with pytest.raises(AttributeError, match="no_such_method"):
                layer.no_such_method()

    def test_local_only_is_that_of_the_layer(self):
        assert ChannelLayerWrapper(InMemoryChannelLayer(), "default", {}).local_only() is True
        assert ChannelLayerWrapper(RedisChannelLayer(), "default", {}).local_only() is False

    def test_it_is_made_once(self):
        with setting():
            assert channel_layers["default"] is channel_layers["default"]

    def test_it_is_made_once_for_all_threads(self):
        SlowLayer.made = 0
        with setting(BACKEND=f"{__name__}.SlowLayer"):
            layers = []
            threads = [threading.Thread(target=lambda: layers.append(channel_layers["default"])) for _ in range(5)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert SlowLayer.made == 1
        assert len(set(layers)) == 1

    def test_each_alias_has_a_layer_of_its_own(self):
        with override_settings(CHANNEL_LAYERS={"default": entry(), "other": entry(CONFIG={"capacity": 3})}):
            assert channel_layers["default"] is not channel_layers["other"]
            assert channel_layers["other"].capacity == 3
            assert "other" in channel_layers
            assert "third" not in channel_layers

    def test_a_changed_setting_makes_new_layers(self):
        with setting(CONFIG={"capacity": 3}):
            assert channel_layers["default"].capacity == 3
            with setting(CONFIG={"capacity": 4}):
                assert channel_layers["default"].capacity == 4
            assert channel_layers["default"].capacity == 3

    def test_without_the_setting_there_is_a_layer_in_memory(self):
        with override_settings():
            del settings.CHANNEL_LAYERS
            layer = ChannelLayerManager()["default"]
            assert isinstance(layer.channel_layer, InMemoryChannelLayer)
            assert layer.router.channels == set()
            assert "default" in channel_layers

    def test_one_layer_can_stand_in_for_another(self):
        with setting():
            former = channel_layers["default"]
            stand_in = ChannelLayerWrapper(InMemoryChannelLayer(), "default", {})
            assert channel_layers.set("default", stand_in) is former
            assert channel_layers["default"] is stand_in
            assert channel_layers.set("default", former) is stand_in
            assert channel_layers["default"] is former

    def test_a_layer_can_be_taken_away(self):
        """Then the setting applies again."""
        with setting():
            former = channel_layers["default"]
            assert channel_layers.set("default", None) is former
            assert channel_layers["default"] is not former
            assert channel_layers.set("default", None) is not None
            assert channel_layers.set("default", None) is None

    def test_a_route_can_be_put_first(self):
        """This works for the present layer, and for one that is made later."""
        with setting(ROUTING={"queue": other_consumer}):
            manager = ChannelLayerManager()
            in_use = manager["default"]
            manager.route_first(route("queue", consumer))
            message = Message({}, "queue", in_use.channel_layer)
            assert in_use.router.match(message)[0] is consumer
            assert manager.make_backend("default").router.match(message)[0] is consumer
            assert manager.wrap("default", InMemoryChannelLayer()).router.match(message)[0] is consumer

    def test_the_layer_for_tests_has_a_configuration_of_its_own(self):
        with setting(CONFIG={"capacity": 3}, TEST_CONFIG={"capacity": 4}):
            assert channel_layers.make_test_backend("default").capacity == 4
            assert channel_layers.make_backend("default").capacity == 3
            assert channel_layers["default"].capacity == 3

    def test_a_wrapper_can_be_copied(self):
        """A deep copy of an object that refers to it does this."""
        with setting():
            layer = channel_layers["default"]
            assert copy.copy(layer).channel_layer is layer.channel_layer


class RaisingLayer(InMemoryChannelLayer):
    def __init__(self, error, token):
        raise error(f"cannot start with {token!r}, which is {token}")


class TestErrors:
    """Each names the setting and the value."""

    def message(self, alias="default", make=None):
        with pytest.raises(InvalidChannelLayerError) as caught:
            (make or channel_layers.__getitem__)(alias)
        return str(caught.value)

    def test_an_unknown_alias(self):
        with setting():
            assert self.message("chat") == "CHANNEL_LAYERS has no 'chat'; it has: 'default'."
        with override_settings(CHANNEL_LAYERS={}):
            assert self.message() == "CHANNEL_LAYERS has no 'default'; it has: none."

    @pytest.mark.parametrize(
        ("layer", "method", "missing"),
        [
            ("OldLayer", "receive_batch(channels, limit, timeout=0, taker=None)", "taker"),
            (
                "OldCombinedLayer",
                "send_and_receive(deliveries, channels, limit, timeout=0, taker=None)",
                "timeout, taker",
            ),
        ],
    )
    def test_a_layer_whose_calls_are_those_of_an_older_version(self, layer, method, missing):
        """It is refused at the start, and not at the first message."""
        with setting(BACKEND=f"{__name__}.{layer}"), pytest.raises(InvalidChannelLayerError) as caught:
            channel_layers["default"]
        text = str(caught.value)
        assert text.startswith(f"CHANNEL_LAYERS['default']['BACKEND']: {__name__}.{layer}.")
        assert f"must also take {missing}. The call is now {method}" in text

    def test_a_layer_whose_calls_fit(self):
        with setting(BACKEND=f"{__name__}.CurrentLayer"):
            layer = channel_layers["default"]
            layer.send("queue", {"number": 1})
            assert layer.receive(["queue"]) == ("queue", {"number": 1})

    @pytest.mark.parametrize("key", ["BACKEND", "ROUTING"])
    def test_a_missing_key(self, key):
        with setting(**{key: None}):
            assert self.message().startswith(f"CHANNEL_LAYERS['default'] has no {key!r}. Add ")

    def test_no_configuration_for_tests(self):
        with setting():
            text = self.message(make=channel_layers.make_test_backend)
            assert text == "CHANNEL_LAYERS['default'] has no 'TEST_CONFIG'."

    @pytest.mark.parametrize(
        "backend",
        ["nowhere.Layer", "channels_classic.layers.NoSuchLayer", "channels_classic.nowhere.Layer", "Layer", ""],
    )
    def test_an_unknown_backend(self, backend):
        with setting(BACKEND=backend):
            text = self.message()
            assert text.startswith("CHANNEL_LAYERS['default']['BACKEND']: ")
            assert repr(backend) in text

    @pytest.mark.parametrize(
        "backend", [None, 7, InMemoryChannelLayer, f"{__name__}.routing", f"{__name__}.MEMORY"]
    )
    def test_a_backend_that_is_not_the_path_of_a_class(self, backend):
        with override_settings(CHANNEL_LAYERS={"default": {"BACKEND": backend, "ROUTING": {}}}):
            text = self.message()
            assert text.startswith("CHANNEL_LAYERS['default']['BACKEND']")
            assert repr(backend) in text

    @pytest.mark.parametrize("config", [{"capacity": 0}, {"expiry": "soon"}, {"hosts": ["redis://localhost"]}])
    @pytest.mark.parametrize("key", ["CONFIG", "TEST_CONFIG"])
    def test_a_configuration_that_the_layer_does_not_take(self, config, key):
        with setting(**{key: config}):
            make = channel_layers.make_test_backend if key == "TEST_CONFIG" else channel_layers.make_backend
            text = self.message(make=make)
            assert text.startswith(f"CHANNEL_LAYERS['default'][{key!r}]")
            assert next(iter(config)) in text

    @pytest.mark.parametrize("config", [["capacity"], "redis://:secret@localhost", "secret", 7, None])
    def test_a_configuration_that_is_not_a_dict(self, config):
        entry = {"BACKEND": MEMORY, "ROUTING": {}, "CONFIG": config}
        with override_settings(CHANNEL_LAYERS={"default": entry}):
            text = self.message()
            assert text.startswith(
                "CHANNEL_LAYERS['default']['CONFIG'] must be a dict of keywords for the layer, not "
            )
            assert "secret" not in text

    @pytest.mark.parametrize(
        ("routing", "reason"),
        [
            ("nowhere.routing", "'nowhere.routing'"),
            (f"{__name__}.no_such_routing", "no_such_routing"),
            (42, "42"),
            ({"queue": "nowhere.consumer"}, "'nowhere.consumer'"),
            ({"queue": 42}, "'queue': A consumer must be a callable or the dotted path of one, not 42"),
            ({"two words": consumer}, "'two words'"),
            ([consumer], "<function consumer at 0x"),
        ],
    )
    def test_an_invalid_routing(self, routing, reason):
        with setting(ROUTING=routing):
            text = self.message()
            assert text.startswith("CHANNEL_LAYERS['default']['ROUTING']: ")
            assert reason in text

    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            (None, "None"),
            ("channels_classic.layers.InMemoryChannelLayer", "'channels_classic.layers.InMemoryChannelLayer'"),
            (7, "7"),
            (["redis://:secret@localhost"], "a list"),
            ("redis://:secret@localhost", "a str"),
        ],
    )
    def test_a_setting_that_is_not_a_dict(self, value, shown):
        for setting, where in (({"default": value}, "CHANNEL_LAYERS['default']"), (value, "CHANNEL_LAYERS")):
            with override_settings(CHANNEL_LAYERS=setting):
                text = self.message()
                assert text.startswith(f"{where} must be a dict")
                assert text.endswith(f", not {shown}.")

    @pytest.mark.parametrize(
        ("entry", "text"),
        [
            (
                {"ROUTINGS": {}},
                "['default'] has a key 'ROUTINGS', which means nothing here; did you mean 'ROUTING'?",
            ),
            ({"config": {}}, "['default'] has a key 'config', which means nothing here; did you mean 'CONFIG'?"),
            (
                {"SERVERS": {}},
                "['default'] has a key 'SERVERS', which means nothing here. Its keys are 'BACKEND', ",
            ),
            (
                {"CONFIG": {"expire": 1}},
                "['CONFIG'] has a key 'expire', which means nothing here; did you mean 'expiry'?",
            ),
            (
                {"CONFIG": {"hosts": ["redis://localhost"]}},
                "['CONFIG'] has a key 'hosts', which means nothing here. InMemoryChannelLayer",
            ),
            ({"BACKEND": REDIS, "CONFIG": {"host": []}}, "did you mean 'hosts'?"),
            ({"BACKEND": REDIS, "CONFIG": {"symetric_encryption_key": "x"}}, "'symmetric_encryption_keys'?"),
            (
                {"TEST_CONFIG": {"Capacity": 1}},
                "['TEST_CONFIG'] has a key 'Capacity', which means nothing here; did you",
            ),
        ],
    )
    def test_a_misspelt_key(self, entry, text):
        with setting(**entry):
            make = channel_layers.make_test_backend if "TEST_CONFIG" in entry else channel_layers.make_backend
            assert text in self.message(make=make)

    @pytest.mark.parametrize(
        ("config", "secrets"),
        [
            ({"hosts": "redis://:hunter2@db.example/0"}, ["hunter2"]),
            ({"hosts": ["redis://:hunter#2@db.example:6379/0"]}, ["hunter", "2@"]),
            ({"hosts": ["redis://me:hun:ter2@db.example/0"], "capacity": 0}, ["hun:", "ter2"]),
            ({"hosts": [{"host": "db", "password": "hunter2"}], "capacity": 0}, ["hunter2"]),
            ({"host": ["redis://:hunter2@db.example/0"]}, ["hunter2"]),
            ({"symmetric_encryption_keys": "sesame-open"}, ["sesame"]),
            ({"symmetric_encryption_keys": [7], "connection_kwargs": {"password": "hunter2"}}, ["hunter2"]),
            ({"connection_kwargs": "hunter2"}, ["hunter2"]),
        ],
    )
    def test_no_secret_is_told(self, config, secrets):
        """Neither the text nor a traceback shows one."""
        with setting(BACKEND=REDIS, CONFIG=config), pytest.raises(InvalidChannelLayerError) as caught:
            channel_layers.make_backend("default")
        told = "".join(traceback.format_exception(caught.value))
        assert "CHANNEL_LAYERS['default']['CONFIG']" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert [secret for secret in secrets if secret in told] == []

    @pytest.mark.parametrize("error", [ValueError, TypeError, KeyError, RuntimeError, ZeroDivisionError])
    def test_a_layer_that_raises_anything(self, error):
        """The error has its text, without quotes from the configuration."""
        with setting(BACKEND=f"{__name__}.RaisingLayer", CONFIG={"error": error, "token": "open\nsesame"}):
            text = self.message()
            assert text.startswith("CHANNEL_LAYERS['default']['CONFIG']: ")
            assert "cannot start with" in text
            assert "sesame" not in text
            assert "\n" not in text

    def test_a_layer_that_could_not_be_made_is_tried_again(self):
        """This helps when the setting is corrected, or the backend appears."""
        with setting(BACKEND="nowhere.Layer"):
            self.message()
            self.message()
        with setting():
            assert channel_layers["default"].capacity == 100


class TestGetChannelLayer:
    def test_it_is_the_bare_layer(self):
        with setting():
            layer = get_channel_layer()
            assert type(layer) is InMemoryChannelLayer
            assert layer is channel_layers["default"].channel_layer

    def test_it_takes_an_alias(self):
        with override_settings(CHANNEL_LAYERS={"default": entry(), "other": entry()}):
            assert get_channel_layer("other") is channel_layers["other"].channel_layer

    def test_it_sets_django_up(self):
        program = (
            "from channels_classic.asgi import get_channel_layer\n"
            "layer = get_channel_layer()\n"
            "from django.apps import apps\n"
            "from django.contrib.auth.models import User\n"
            "print(type(layer).__name__, apps.ready)\n"
        )
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            env={
                "PYTHONPATH": ":".join(filter(None, sys.path)),
                "PYTHONDONTWRITEBYTECODE": "1",
                "DJANGO_SETTINGS_MODULE": "tests.settings",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (done.stdout.strip(), done.returncode) == ("InMemoryChannelLayer True", 0), done.stderr
