"""What ``manage.py check`` says about the settings."""

import pytest
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
