"""The channel layers of ``settings.CHANNEL_LAYERS`` (specification, section 5)."""

from __future__ import annotations

import threading
from typing import Any

import django
from django.conf import settings
from django.core.signals import setting_changed

from channels_classic import DEFAULT_CHANNEL_LAYER
from channels_classic.exceptions import InvalidChannelLayerError
from channels_classic.layers import BaseChannelLayer
from channels_classic.routing import RouteLike, Router, import_dotted

# What a project without the setting gets: enough for runserver to serve its views and to open WebSockets.
WITHOUT_SETTING: dict[str, dict[str, Any]] = {
    DEFAULT_CHANNEL_LAYER: {"BACKEND": "channels_classic.layers.InMemoryChannelLayer", "ROUTING": {}}
}


class ChannelLayerWrapper:
    """A channel layer with what the settings say around it; everything else is the layer's own.

    Arguments:
        channel_layer: the bare layer.
        alias: its key in ``settings.CHANNEL_LAYERS``.
        routing: its routing: a dict, a list, or the dotted path of one.
    """

    def __init__(self, channel_layer: BaseChannelLayer, alias: str, routing: Any) -> None:
        self.channel_layer = channel_layer
        self.alias = alias
        self.routing = routing
        try:
            self.router = Router(routing)
        except (ImportError, ValueError) as error:
            raise InvalidChannelLayerError(f"CHANNEL_LAYERS[{alias!r}]['ROUTING']: {error}") from error

    def __getattr__(self, name: str) -> Any:
        if name == "channel_layer":  # not set yet: copying or unpickling
            raise AttributeError(name)
        return getattr(self.channel_layer, name)

    def __repr__(self) -> str:
        return f"<channel layer {self.alias!r}: {type(self.channel_layer).__name__}>"


class ChannelLayerManager:
    """Makes each layer of ``settings.CHANNEL_LAYERS`` when it is first asked for, and keeps it."""

    def __init__(self) -> None:
        self._layers: dict[str, ChannelLayerWrapper] = {}
        self._first_routes: dict[str, list[RouteLike]] = {}
        self._lock = threading.RLock()
        setting_changed.connect(self._setting_changed)

    @property
    def configs(self) -> dict[str, dict[str, Any]]:
        """The setting, or what stands in for it.

        Raises:
            InvalidChannelLayerError: it is no dict.
        """
        configs: dict[str, dict[str, Any]] = getattr(settings, "CHANNEL_LAYERS", WITHOUT_SETTING)
        if not isinstance(configs, dict):
            raise InvalidChannelLayerError(f"CHANNEL_LAYERS must be a dict of aliases and dicts, not {configs!r}.")
        return configs

    def __getitem__(self, alias: str) -> Any:
        layer = self._layers.get(alias)
        if layer is None:
            with self._lock:
                layer = self._layers.get(alias)
                if layer is None:
                    layer = self._layers[alias] = self.make_backend(alias)
        return layer

    def __contains__(self, alias: str) -> bool:
        return alias in self.configs

    def set(self, alias: str, layer: ChannelLayerWrapper | None) -> ChannelLayerWrapper | None:
        """Put ``layer`` in the place of ``alias``; with ``None``, one is made after the setting when it is needed.

        Returns:
            The one that was there, if it had been made.
        """
        with self._lock:
            former = self._layers.pop(alias, None)
            if layer is not None:
                self._layers[alias] = layer
            return former

    def route_first(self, route: RouteLike, alias: str = DEFAULT_CHANNEL_LAYER) -> None:
        """Put ``route`` before the routing of the setting, in the layer that is there and in later ones."""
        with self._lock:
            self._first_routes.setdefault(alias, []).append(route)
            if alias in self._layers:
                self._layers[alias].router.add_route(route, first=True)

    def wrap(self, alias: str, layer: BaseChannelLayer) -> ChannelLayerWrapper:
        """``layer`` with the routing that the setting has for ``alias``."""
        wrapper = ChannelLayerWrapper(layer, alias, self._entry(alias)["ROUTING"])
        for route in self._first_routes.get(alias, ()):
            wrapper.router.add_route(route, first=True)
        return wrapper

    def make_backend(self, alias: str) -> ChannelLayerWrapper:
        """A new layer after the setting, with its ``CONFIG``."""
        return self._make(alias, self._entry(alias).get("CONFIG", {}), "CONFIG")

    def make_test_backend(self, alias: str) -> ChannelLayerWrapper:
        """A new layer after the setting, with its ``TEST_CONFIG``.

        Raises:
            InvalidChannelLayerError: there is none.
        """
        entry = self._entry(alias)
        if "TEST_CONFIG" not in entry:
            raise InvalidChannelLayerError(f"CHANNEL_LAYERS[{alias!r}] has no 'TEST_CONFIG'.")
        return self._make(alias, entry["TEST_CONFIG"], "TEST_CONFIG")

    def _entry(self, alias: str) -> dict[str, Any]:
        try:
            entry = self.configs[alias]
        except KeyError:
            known = ", ".join(repr(name) for name in self.configs) or "none"
            raise InvalidChannelLayerError(f"CHANNEL_LAYERS has no {alias!r}; it has: {known}.") from None
        if not isinstance(entry, dict):
            raise InvalidChannelLayerError(
                f"CHANNEL_LAYERS[{alias!r}] must be a dict with 'BACKEND' and 'ROUTING', not {entry!r}."
            )
        for key in ("BACKEND", "ROUTING"):
            if key not in entry:
                raise InvalidChannelLayerError(f"CHANNEL_LAYERS[{alias!r}] has no {key!r}.")
        return entry

    def _make(self, alias: str, config: dict[str, Any], key: str) -> ChannelLayerWrapper:
        backend = self._entry(alias)["BACKEND"]
        where = f"CHANNEL_LAYERS[{alias!r}]['BACKEND']"
        try:
            layer_class = import_dotted(backend, "the channel layer class") if isinstance(backend, str) else None
        except ImportError as error:
            raise InvalidChannelLayerError(f"{where}: {error}") from error
        if not callable(layer_class):
            raise InvalidChannelLayerError(
                f"{where} must be the dotted path of a channel layer class, not {backend!r}."
            )
        try:
            layer = layer_class(**config)
        except (TypeError, ValueError) as error:
            raise InvalidChannelLayerError(f"CHANNEL_LAYERS[{alias!r}][{key!r}] is {config!r}: {error}") from error
        return self.wrap(alias, layer)

    def _setting_changed(self, *, setting: str, **kwargs: Any) -> None:
        if setting == "CHANNEL_LAYERS":
            self._layers.clear()


channel_layers = ChannelLayerManager()


def get_channel_layer(alias: str = DEFAULT_CHANNEL_LAYER) -> BaseChannelLayer:
    """Set Django up and give the bare layer, as an ``asgi.py`` hands it to an interface server."""
    django.setup(set_prefix=False)
    layer: BaseChannelLayer = channel_layers[alias].channel_layer
    return layer
