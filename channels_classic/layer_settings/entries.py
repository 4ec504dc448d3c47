"""The entries of the settings that describe classic channel layers (specification, section 5).

They are in ``CHANNELS_CLASSIC_LAYERS`` or, without that setting, in ``CHANNEL_LAYERS``. If Channels 4 is
installed, ``CHANNEL_LAYERS`` may also have layers of Channels 4, which are ignored.

Every fault raises ``InvalidChannelLayerError`` with one line that tells where it is and what to change.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from typing import Any

from django.conf import settings

from channels_classic import installed_channels
from channels_classic.defaults import DEFAULT_CHANNEL_LAYER

OWN_SETTING = "CHANNELS_CLASSIC_LAYERS"
SHARED_SETTING = "CHANNEL_LAYERS"

# The default of the setting. With it, runserver serves the views and opens WebSockets.
WITHOUT_SETTING: dict[str, dict[str, Any]] = {
    DEFAULT_CHANNEL_LAYER: {"BACKEND": "channels_classic.layers.InMemoryChannelLayer", "ROUTING": {}}
}

REQUIRED_KEYS = ("BACKEND", "ROUTING")
KEYS = (*REQUIRED_KEYS, "CONFIG", "TEST_CONFIG")
"""The keys that an entry may have."""

OF_OTHER_SETTINGS = {"ENGINE": "BACKEND", "CLASS": "BACKEND", "OPTIONS": "CONFIG", "ROUTES": "ROUTING"}
"""What is meant by the keys of similar settings, such as ``DATABASES``."""

REMEDIES = {
    "BACKEND": "Add 'BACKEND': 'channels_classic.layers.InMemoryChannelLayer' for one process, as in development, "
    "or 'channels_classic.layers.RedisChannelLayer' for several.",
    "ROUTING": "Add the dotted path of your routing, as in 'ROUTING': '{package}.routing.channel_routing'.",
}
"""The advice for each key that is missing."""

OUR_BACKENDS = ("channels_classic.", "asgi_redis.", "asgiref.inmemory.")
"""The beginnings of ``BACKEND`` for our layers, old names included. A project may have layers of its own."""

ADAPTERS = ("channels_classic.channels4.RedisChannelLayer", "channels_classic.channels4.RedisSentinelChannelLayer")
"""Our layers in the form for Channels 4."""

_DOTTED = re.compile(r"[\w.]*\Z")


class InvalidChannelLayerError(ValueError):
    """The settings do not describe a channel layer that can be made."""


def setting_name() -> str:
    """The setting that has our layers."""
    return OWN_SETTING if hasattr(settings, OWN_SETTING) else SHARED_SETTING


def where(alias: str) -> str:
    """The name of an entry, for error texts."""
    return f"{setting_name()}[{alias!r}]"


def layer_settings() -> dict[str, Any]:
    """The entries of our layers, or the default.

    Raises:
        InvalidChannelLayerError: the setting is not a dict.
    """
    name = setting_name()
    entries: Any = getattr(settings, name, WITHOUT_SETTING)
    if not isinstance(entries, dict):
        raise InvalidChannelLayerError(
            f"{name} must be a dict of aliases and their settings, not {shown(entries)}."
        )
    misplaced = [key for key in KEYS if key in entries]
    if misplaced:
        raise InvalidChannelLayerError(
            f"{name} has {listed(misplaced)} where the names of layers should be: put all of it one level "
            f"deeper, as in {name} = {{'default': {{...}}}}."
        )
    if name == OWN_SETTING:
        return entries
    return {alias: _unadapted(entry) for alias, entry in entries.items() if not is_foreign(entry)}


def foreign_backends() -> dict[str, str]:
    """The ``BACKEND`` of each layer in ``CHANNEL_LAYERS`` that is not ours, by its alias."""
    entries: Any = getattr(settings, SHARED_SETTING, {})
    if not isinstance(entries, dict):
        return {}
    return {alias: entry["BACKEND"] for alias, entry in entries.items() if is_foreign(entry)}


def is_foreign(entry: object) -> bool:
    """Whether an entry of ``CHANNEL_LAYERS`` is for Channels 4, so that we ignore it."""
    return (
        isinstance(entry, dict)
        and "ROUTING" not in entry
        and isinstance(entry.get("BACKEND"), str)
        and (
            entry["BACKEND"].startswith("channels_classic.channels4.ClassicChannelLayer")
            or (installed_channels.version() is not None and not entry["BACKEND"].startswith(OUR_BACKENDS))
        )
    )


def _unadapted(entry: Any) -> Any:
    """Turn the entry of one of our layers for Channels 4 into an entry that ``Channel`` and ``Group`` can use."""
    if not isinstance(entry, dict) or entry.get("BACKEND") not in ADAPTERS or "ROUTING" in entry:
        return entry
    entry = {**entry, "BACKEND": entry["BACKEND"].replace(".channels4.", ".layers."), "ROUTING": {}}
    for key in ("CONFIG", "TEST_CONFIG"):
        if isinstance(entry.get(key), dict):
            entry[key] = {name: value for name, value in entry[key].items() if name != "classic_type"}
    return entry


def layer_entry(alias: str) -> dict[str, Any]:
    """The part of the setting that describes one layer.

    Raises:
        InvalidChannelLayerError: there is none, or it has unknown keys.
    """
    entries = layer_settings()
    if alias not in entries:
        raise InvalidChannelLayerError(_missing(alias, entries))
    entry = entries[alias]
    if not isinstance(entry, dict):
        raise InvalidChannelLayerError(
            f"{where(alias)} must be a dict with 'BACKEND' and 'ROUTING', not {shown(entry)}."
        )
    unknown = [key for key in entry if key not in KEYS]
    if unknown:
        key = unknown[0]
        meant = named(key, KEYS, OF_OTHER_SETTINGS.get(str(key).upper(), key))
        raise InvalidChannelLayerError(
            f"{where(alias)} has a key {meant} Its keys are {listed(KEYS)}; keywords for the layer, such as "
            "'hosts', go into 'CONFIG'."
        )
    for key in REQUIRED_KEYS:
        if key not in entry:
            raise InvalidChannelLayerError(_lacking(alias, entry, key))
    return entry


def _missing(alias: str, entries: Collection[str]) -> str:
    name = setting_name()
    theirs = foreign_backends().get(alias) if name == SHARED_SETTING else None
    if theirs is not None:
        return (
            f"{where(alias)} is {theirs}, a layer of Channels 4, because it has no 'ROUTING'. Describe the "
            f"layer of channels-classic in the setting {OWN_SETTING}."
        )
    return f"{name} has no {alias!r}; it has: {', '.join(map(repr, entries)) or 'none'}."


def _lacking(alias: str, entry: dict[str, Any], key: str) -> str:
    backend = entry.get("BACKEND")
    if key == "ROUTING" and str(backend).startswith(("channels_redis.", "channels.")):
        remedy = f"Its BACKEND, {backend}, is a layer of Channels 4. {installed_channels.problem() or ''}".rstrip()
    else:
        package = getattr(settings, "ROOT_URLCONF", "").partition(".")[0] or "mysite"
        remedy = REMEDIES[key].format(package=package)
    return f"{where(alias)} has no {key!r}. {remedy}"


def named(name: object, known: Collection[str], like: object = None) -> str:
    """A wrong name with a suggestion: the known name that is most similar to it, or to ``like``."""
    wanted = str(name if like is None else like).upper()
    close = difflib.get_close_matches(wanted, [key.upper() for key in known], n=1, cutoff=0.6)
    for key in known:
        if close and key.upper() == close[0]:
            return f"{name!r}, which means nothing here; did you mean {key!r}?"
    return f"{name!r}, which means nothing here."


def listed(names: Collection[str]) -> str:
    """A list of names, for an error text."""
    return ", ".join(repr(name) for name in names)


def shown(value: object, texts: bool = True) -> str:
    """A misplaced value, for an error text. If it may contain a password, as a URL may, only its type is shown.

    Arguments:
        texts: whether a text that looks like a dotted path may be shown.
    """
    harmless = value is None or isinstance(value, (int, type))
    harmless = harmless or (texts and isinstance(value, str) and bool(_DOTTED.match(value)))
    if isinstance(value, tuple) and len(value) == 1:
        return "a tuple, which a comma at the end makes: remove it"
    return repr(value) if harmless else f"a {type(value).__name__}"
