"""The channel layers of ``settings.CHANNEL_LAYERS``, without their routing (specification, section 5).

Code that only sends or receives needs no more than this; ``asgi`` puts the routers on top. Every mistake in the
setting raises ``InvalidChannelLayerError``, whose text is one line that says where it is and what to change. That
line never quotes the values of ``CONFIG``, because these include passwords and encryption keys.
"""

from __future__ import annotations

import difflib
import inspect
import re
import threading
from collections.abc import Callable, Collection
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.signals import setting_changed

from channels_classic.defaults import DEFAULT_CHANNEL_LAYER
from channels_classic.dotted import import_dotted
from channels_classic.layers import BaseChannelLayer, LayerUnavailable
from channels_classic.log import logger
from channels_classic.redaction import one_line, redacted

# The setting of a project without one. With it, runserver serves the views and opens WebSockets.
WITHOUT_SETTING: dict[str, dict[str, Any]] = {
    DEFAULT_CHANNEL_LAYER: {"BACKEND": "channels_classic.layers.InMemoryChannelLayer", "ROUTING": {}}
}

REQUIRED_KEYS = ("BACKEND", "ROUTING")
KEYS = (*REQUIRED_KEYS, "CONFIG", "TEST_CONFIG")
"""The keys that an entry of ``CHANNEL_LAYERS`` may have."""

REMEDIES = {
    "BACKEND": "Add 'BACKEND': 'channels_classic.layers.InMemoryChannelLayer' for one process, as in development, "
    "or 'channels_classic.layers.RedisChannelLayer' for several.",
    "ROUTING": "Add the dotted path of your routing, as in 'ROUTING': '{package}.routing.channel_routing'.",
}
"""What to do when one of them is missing."""

OF_HOSTS = ("host", "url", "urls", "uri", "server", "servers", "address", "addresses", "location", "redis_url")
"""What other libraries call the servers of a layer."""

_DOTTED = re.compile(r"[\w.]*\Z")


class InvalidChannelLayerError(ValueError):
    """The setting ``CHANNEL_LAYERS`` does not describe a channel layer that can be made."""


class BareLayers:
    """The channel layers of the setting. Each is made when it is first needed, and kept."""

    def __init__(self) -> None:
        self._layers: dict[str, BaseChannelLayer] = {}
        self._lock = threading.RLock()
        setting_changed.connect(self._setting_changed)

    def __getitem__(self, alias: str) -> BaseChannelLayer:
        layer = self._layers.get(alias)
        if layer is None:
            with self._lock:
                layer = self._layers.get(alias)
                if layer is None:
                    layer = self._layers[alias] = make_layer(alias)
                    _warn_without_app()
        return layer

    def set(self, alias: str, layer: BaseChannelLayer | None) -> BaseChannelLayer | None:
        """Replace the layer of ``alias``; with ``None``, a new one is made from the setting when it is needed.

        Returns:
            The previous layer, if it had been made.
        """
        with self._lock:
            former = self._layers.pop(alias, None)
            if layer is not None:
                self._layers[alias] = layer
            return former

    def _setting_changed(self, *, setting: str, **kwargs: Any) -> None:
        if setting == "CHANNEL_LAYERS":
            self._layers.clear()


bare_layers = BareLayers()


def layer_settings() -> dict[str, Any]:
    """The setting, or what stands in for it.

    Raises:
        InvalidChannelLayerError: it is not a dict.
    """
    entries: Any = getattr(settings, "CHANNEL_LAYERS", WITHOUT_SETTING)
    if not isinstance(entries, dict):
        raise InvalidChannelLayerError(
            f"CHANNEL_LAYERS must be a dict of aliases and their settings, not {_shown(entries)}."
        )
    misplaced = [key for key in KEYS if key in entries]
    if misplaced:
        raise InvalidChannelLayerError(
            f"CHANNEL_LAYERS has {_listed(misplaced)} where the names of layers should be: put all of it one "
            "level deeper, as in CHANNEL_LAYERS = {'default': {...}}."
        )
    return entries


def layer_entry(alias: str) -> dict[str, Any]:
    """The part of the setting that describes one layer.

    Raises:
        InvalidChannelLayerError: there is none, or it has unknown keys.
    """
    entries = layer_settings()
    if alias not in entries:
        known = ", ".join(repr(name) for name in entries) or "none"
        raise InvalidChannelLayerError(f"CHANNEL_LAYERS has no {alias!r}; it has: {known}.")
    entry = entries[alias]
    where = f"CHANNEL_LAYERS[{alias!r}]"
    if not isinstance(entry, dict):
        raise InvalidChannelLayerError(
            f"{where} must be a dict with 'BACKEND' and 'ROUTING', not {_shown(entry)}."
        )
    unknown = [key for key in entry if key not in KEYS]
    if unknown:
        raise InvalidChannelLayerError(
            f"{where} has a key {_named(unknown[0], KEYS)} Its keys are {_listed(KEYS)}."
        )
    for key in REQUIRED_KEYS:
        if key not in entry:
            package = getattr(settings, "ROOT_URLCONF", "").partition(".")[0] or "mysite"
            raise InvalidChannelLayerError(f"{where} has no {key!r}. {REMEDIES[key].format(package=package)}")
    return entry


def make_layer(alias: str, key: str = "CONFIG") -> BaseChannelLayer:
    """Make a new layer from the setting.

    Arguments:
        key: the part of the entry with its keywords: ``CONFIG`` or ``TEST_CONFIG``.

    Raises:
        InvalidChannelLayerError: no layer can be made from the setting.
        LayerUnavailable: the layer asks its servers when it is made, and did not reach them.
    """
    entry = layer_entry(alias)
    config = entry.get(key, {})
    layer_class = _layer_class(alias, entry["BACKEND"])
    _check_keywords(layer_class, config, f"CHANNEL_LAYERS[{alias!r}][{key!r}]")
    try:
        layer: BaseChannelLayer = layer_class(**config)
    except LayerUnavailable:
        raise
    except Exception as error:
        text, cause = redacted(error, config)
        kind = "" if isinstance(error, (TypeError, ValueError)) else f"{type(error).__name__}: "
        raise InvalidChannelLayerError(f"CHANNEL_LAYERS[{alias!r}][{key!r}]: {kind}{text}") from cause
    return layer


def _warn_without_app() -> None:
    if apps.ready and not apps.is_installed("channels_classic"):
        logger.warning(
            "'channels_classic' is not in INSTALLED_APPS: add it. Without the app, 'manage.py runserver' is "
            "Django's own and answers WebSockets with 404, and there is no 'manage.py runworker'."
        )


def _layer_class(alias: str, backend: object) -> Callable[..., Any]:
    where = f"CHANNEL_LAYERS[{alias!r}]['BACKEND']"
    if not isinstance(backend, str):
        raise InvalidChannelLayerError(
            f"{where} must be the dotted path of a channel layer class, not {_shown(backend)}."
        )
    try:
        layer_class = import_dotted(backend, "the channel layer class")
    except Exception as error:
        kind = "" if isinstance(error, ImportError) else f"{backend!r} raised {type(error).__name__}: "
        raise InvalidChannelLayerError(f"{where}: {kind}{one_line(error)}") from error
    if not callable(layer_class):
        raise InvalidChannelLayerError(
            f"{where} must be the dotted path of a channel layer class, not {backend!r}."
        )
    return layer_class  # type: ignore[no-any-return]


def _check_keywords(layer_class: Callable[..., Any], config: object, where: str) -> None:
    """Find a misspelt keyword. The call would find it too, but its error would not say which one was meant.

    Raises:
        InvalidChannelLayerError: there is a misspelt keyword, or ``config`` is not a dict.
    """
    if not isinstance(config, dict):
        raise InvalidChannelLayerError(
            f"{where} must be a dict of keywords for the layer, not a {type(config).__name__}."
        )
    keywords = _keywords(layer_class)
    for key in config:
        if keywords is not None and key not in keywords:
            known = "hosts" if key in OF_HOSTS and "hosts" in keywords else key
            elsewhere = " Layers over Redis have 'hosts'." if key in ("hosts", *OF_HOSTS) and known == key else ""
            raise InvalidChannelLayerError(
                f"{where} has a key {_named(key, keywords, known)} {layer_class.__name__} takes "
                f"{_listed(keywords)}.{elsewhere}"
            )


def _keywords(layer_class: Callable[..., Any]) -> list[str] | None:
    """The keywords that a layer class takes; ``None`` if they are not known."""
    keywords: list[str] = []
    # A class that passes unknown keywords on takes those of the next class as well.
    for maker in inspect.getmro(layer_class) if isinstance(layer_class, type) else [layer_class]:
        if isinstance(maker, type) and "__init__" not in vars(maker):
            continue
        try:
            parameters = inspect.signature(maker).parameters.values()
        except (TypeError, ValueError):
            return None
        by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        keywords += [each.name for each in parameters if each.kind in by_name and each.name not in keywords]
        if not any(each.kind is each.VAR_KEYWORD for each in parameters):
            return keywords
    return None


def _named(name: object, known: Collection[str], like: object = None) -> str:
    """A wrong name with what was probably meant: the one that is most like it, or like ``like``."""
    wanted = str(name if like is None else like).upper()
    close = difflib.get_close_matches(wanted, [key.upper() for key in known], n=1, cutoff=0.6)
    for key in known:
        if close and key.upper() == close[0]:
            return f"{name!r}, which means nothing here; did you mean {key!r}?"
    return f"{name!r}, which means nothing here."


def _listed(names: Collection[str]) -> str:
    return ", ".join(repr(name) for name in names)


def _shown(value: object) -> str:
    """A value in the wrong place, for an error. If it may contain a password, like a URL, only its type."""
    harmless = value is None or isinstance(value, (int, type)) or (isinstance(value, str) and _DOTTED.match(value))
    return repr(value) if harmless else f"a {type(value).__name__}"
