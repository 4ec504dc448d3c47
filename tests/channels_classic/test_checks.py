"""What ``manage.py check`` says about the settings."""

import pytest
from django.contrib.sessions.backends import signed_cookies
from django.core.checks import run_checks
from django.test import override_settings

MEMORY = "channels_classic.layers.InMemoryChannelLayer"
GOOD = {"BACKEND": MEMORY, "ROUTING": {}}


def errors(setting):
    with override_settings(CHANNEL_LAYERS=setting):
        return [(error.id, error.msg) for error in run_checks() if error.id.startswith("channels.")]


def test_a_good_setting_passes():
    assert errors({"default": GOOD}) == []
    assert errors({}) == []


@pytest.mark.parametrize(
    ("setting", "part"),
    [
        (None, "CHANNEL_LAYERS must be a dict"),
        ({"default": None}, "CHANNEL_LAYERS['default'] must be a dict"),
        ({"default": {"BACKEND": MEMORY}}, "no 'ROUTING'"),
        ({"default": {**GOOD, "BACKEND": "nowhere.Layer"}}, "'nowhere.Layer'"),
        ({"default": {**GOOD, "ROUTING": {"queue": "nowhere.consumer"}}}, "'nowhere.consumer'"),
        ({"default": {**GOOD, "CONFIG": {"capacity": 0}}}, "capacity"),
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


@pytest.mark.parametrize("engine", ["django.contrib.sessions.backends.signed_cookies", __name__])
def test_sessions_whose_end_nobody_knows_of_are_a_warning(settings, engine):
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
def test_other_sessions_are_not(settings, engine):
    settings.SESSION_ENGINE = engine
    assert [found for found in run_checks() if found.id == "channels.W001"] == []


class SessionStore(signed_cookies.SessionStore):
    """An engine of a project's own, which this module is."""
