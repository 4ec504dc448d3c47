"""The channel layers of the settings, without their routing (specification, section 5).

This is enough for code that only sends or receives; ``asgi`` adds the routers. An error never quotes the values of
``CONFIG``, because these include passwords and encryption keys.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.core.signals import setting_changed

from channels_classic.dotted import import_dotted
from channels_classic.layer_settings.entries import (
    OWN_SETTING,
    SHARED_SETTING,
    InvalidChannelLayerError,
    layer_entry,
    listed,
    named,
    shown,
    where,
)
from channels_classic.layer_settings.methods import misfits
from channels_classic.layers import BaseChannelLayer, LayerUnavailable
from channels_classic.log import logger
from channels_classic.redaction import one_line, redacted

OUR_LAYERS = ("channels_classic.layers.RedisChannelLayer", "channels_classic.layers.InMemoryChannelLayer")

OF_HOSTS = ("host", "url", "urls", "uri", "server", "servers", "address", "addresses", "location", "redis_url")
"""The names that other libraries use for the servers of a layer."""


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
        if setting in (OWN_SETTING, SHARED_SETTING):
            self._layers.clear()


bare_layers = BareLayers()


def make_layer(alias: str, key: str = "CONFIG") -> BaseChannelLayer:
    """Make a new layer from the setting.

    Arguments:
        key: the part of the entry with its keywords: ``CONFIG`` or ``TEST_CONFIG``.

    Raises:
        InvalidChannelLayerError: no layer can be made from the setting.
        LayerUnavailable: the layer asks its servers when it is made, and cannot reach them.
    """
    entry = layer_entry(alias)
    config = entry.get(key, {})
    layer_class = _layer_class(alias, entry["BACKEND"])
    no_layer = f"{where(alias)}['BACKEND'] is {entry['BACKEND']}, which is not a class and returns no layer"
    _check_keywords(layer_class, config, f"{where(alias)}[{key!r}]")
    try:
        layer = layer_class(**config)
    except LayerUnavailable:
        raise
    except Exception as error:
        text, cause = redacted(error, config)
        if not isinstance(layer_class, type):
            raise InvalidChannelLayerError(f"{no_layer}: {text}. {_ours()}") from cause
        kind = "" if isinstance(error, (TypeError, ValueError)) else f"{type(error).__name__}: "
        raise InvalidChannelLayerError(f"{where(alias)}[{key!r}]: {kind}{text}") from cause
    if not isinstance(layer, BaseChannelLayer):
        raise InvalidChannelLayerError(f"{no_layer}. {_ours()}")
    if entry["BACKEND"] not in OUR_LAYERS and (misfit := next(misfits(type(layer)), None)):
        raise InvalidChannelLayerError(f"{where(alias)}['BACKEND']: {misfit}")
    return layer


def _warn_without_app() -> None:
    if not apps.ready or apps.is_installed("channels_classic"):
        return
    from multiprocessing import parent_process  # nobody else here needs it, and its import takes a while

    if parent_process() is None:  # the processes of a supervisor do not repeat what it has said
        logger.warning(
            "'channels_classic' is not in INSTALLED_APPS: add it. Without the app, 'manage.py runserver' is "
            "Django's own and answers WebSockets with 404, and there is no 'manage.py runworker'."
        )


def _layer_class(alias: str, backend: object) -> Callable[..., Any]:
    place = f"{where(alias)}['BACKEND']"
    if not isinstance(backend, str):
        raise InvalidChannelLayerError(
            f"{place} must be the dotted path of a channel layer class, not {shown(backend)}."
        )
    try:
        layer_class = import_dotted(backend, "the channel layer class", OUR_LAYERS[0])
    except Exception as error:
        kind = "" if isinstance(error, ImportError) else f"{backend!r} raised {type(error).__name__}: "
        raise InvalidChannelLayerError(f"{place}: {kind}{one_line(error)}. {_ours()}") from error
    if not callable(layer_class):
        raise InvalidChannelLayerError(
            f"{place} must be the dotted path of a channel layer class, not {backend!r}. {_ours()}"
        )
    if isinstance(layer_class, type) and not issubclass(layer_class, BaseChannelLayer):
        raise InvalidChannelLayerError(
            f"{place} is {backend}, which makes no layer of channels-classic. {_ours()} Or, if the layer is for "
            "Channels 4, take 'ROUTING' out here and describe that of channels-classic in the setting "
            f"{OWN_SETTING}."
        )
    return layer_class  # type: ignore[no-any-return]


def _ours() -> str:
    return f"The layers of channels-classic are {' and '.join(OUR_LAYERS)}."


def _check_keywords(layer_class: Callable[..., Any], config: object, place: str) -> None:
    """Find a misspelt keyword. The call would find it too, but its error would not say which one was meant.

    Raises:
        InvalidChannelLayerError: there is a misspelt keyword, or ``config`` is not a dict.
    """
    if not isinstance(config, dict):
        raise InvalidChannelLayerError(
            f"{place} must be a dict of keywords for the layer, not {shown(config, texts=False)}."
        )
    keywords = _keywords(layer_class)
    for key in config:
        if keywords is not None and key not in keywords:
            known = "hosts" if key in OF_HOSTS and "hosts" in keywords else key
            elsewhere = " Layers over Redis have 'hosts'." if key in ("hosts", *OF_HOSTS) and known == key else ""
            raise InvalidChannelLayerError(
                f"{place} has a key {named(key, keywords, known)} {layer_class.__name__} takes "
                f"{listed(keywords)}.{elsewhere}"
            )


def _keywords(layer_class: Callable[..., Any]) -> list[str] | None:
    """The keywords of a layer class; ``None`` if they are not known."""
    keywords: list[str] = []
    # A class that passes unknown keywords on also accepts those of the next class.
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
