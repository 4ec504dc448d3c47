"""The channel layers of the settings with their routing (specification, sections 5 and 6)."""

from __future__ import annotations

import threading
from typing import Any

import django
from django.core.signals import setting_changed

from channels_classic.defaults import DEFAULT_CHANNEL_LAYER
from channels_classic.layer_settings.entries import (
    OWN_SETTING,
    SHARED_SETTING,
    InvalidChannelLayerError,
    layer_entry,
    layer_settings,
    where,
)
from channels_classic.layer_settings.layers import bare_layers, make_layer
from channels_classic.layers import BaseChannelLayer
from channels_classic.routing import RouteLike, Router

WRAPPER_ATTRIBUTES = frozenset({"channel_layer", "alias", "routing", "router"})
"""The attributes of a ``ChannelLayerWrapper`` itself."""


class ChannelLayerWrapper:
    """A channel layer with its alias and its router.

    All other attributes are read from the layer and set on it. So a test can replace
    ``channel_layers["default"].send``, and code that has the bare layer calls the replacement.

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
            raise InvalidChannelLayerError(f"{where(alias)}['ROUTING']: {error}") from error

    def __getattr__(self, name: str) -> Any:
        if name == "channel_layer":  # not set yet: copying or unpickling
            raise AttributeError(name)
        return getattr(self.channel_layer, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in WRAPPER_ATTRIBUTES:
            object.__setattr__(self, name, value)
        else:
            setattr(self.channel_layer, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self.channel_layer, name)

    def local_only(self) -> bool:
        """Whether the layer works inside one process only."""
        return self.channel_layer.local_only

    def __repr__(self) -> str:
        return f"<channel layer {self.alias!r}: {type(self.channel_layer).__name__}>"


class ChannelLayerManager:
    """The layers of ``settings.CHANNEL_LAYERS`` with their routers. Each is made when it is first needed."""

    def __init__(self) -> None:
        self._layers: dict[str, ChannelLayerWrapper] = {}
        self._first_routes: dict[str, list[RouteLike]] = {}
        self._lock = threading.RLock()
        setting_changed.connect(self._setting_changed)

    @property
    def configs(self) -> dict[str, dict[str, Any]]:
        """The setting, or its default.

        Raises:
            InvalidChannelLayerError: it is not a dict.
        """
        return layer_settings()

    @property
    def backends(self) -> dict[str, ChannelLayerWrapper]:
        """The layers that have been made, by their aliases."""
        return self._layers

    def __getitem__(self, alias: str) -> Any:
        layer = self._layers.get(alias)
        if layer is None:
            with self._lock:
                layer = self._layers.get(alias)
                if layer is None:
                    layer = self._layers[alias] = self.wrap(alias, bare_layers[alias])
        return layer

    def __contains__(self, alias: str) -> bool:
        return alias in self.configs

    def set(self, alias: str, layer: ChannelLayerWrapper | None) -> ChannelLayerWrapper | None:
        """Replace the layer of ``alias``; with ``None``, a new one is made from the setting when it is needed.

        Returns:
            The previous layer, if it had been made.
        """
        with self._lock:
            former = self._layers.pop(alias, None)
            bare_layers.set(alias, None if layer is None else layer.channel_layer)
            if layer is not None:
                self._layers[alias] = layer
            return former

    def route_first(self, route: RouteLike, alias: str = DEFAULT_CHANNEL_LAYER) -> None:
        """Put ``route`` before the routing of the setting, in the current layer and in later ones."""
        with self._lock:
            self._first_routes.setdefault(alias, []).append(route)
            if alias in self._layers:
                self._layers[alias].router.add_route(route, first=True)

    def wrap(self, alias: str, layer: BaseChannelLayer) -> ChannelLayerWrapper:
        """``layer`` with the routing that the setting has for ``alias``.

        Raises:
            InvalidChannelLayerError: the setting has no routing, or one that cannot be used.
        """
        wrapper = ChannelLayerWrapper(layer, alias, layer_entry(alias)["ROUTING"])
        for route in self._first_routes.get(alias, ()):
            wrapper.router.add_route(route, first=True)
        return wrapper

    def make_backend(self, alias: str) -> ChannelLayerWrapper:
        """A new layer from the setting, with its ``CONFIG``.

        Raises:
            InvalidChannelLayerError: no layer can be made from the setting.
        """
        return self.wrap(alias, make_layer(alias))

    def make_test_backend(self, alias: str) -> ChannelLayerWrapper:
        """A new layer from the setting, with its ``TEST_CONFIG``.

        Raises:
            InvalidChannelLayerError: there is no ``TEST_CONFIG``, or no layer can be made from it.
        """
        if "TEST_CONFIG" not in layer_entry(alias):
            raise InvalidChannelLayerError(f"{where(alias)} has no 'TEST_CONFIG'.")
        return self.wrap(alias, make_layer(alias, "TEST_CONFIG"))

    def _setting_changed(self, *, setting: str, **kwargs: Any) -> None:
        if setting in (OWN_SETTING, SHARED_SETTING):
            self._layers.clear()


channel_layers = ChannelLayerManager()


def get_channel_layer(alias: str = DEFAULT_CHANNEL_LAYER) -> BaseChannelLayer:
    """Set Django up and return the bare layer, which an ``asgi.py`` gives to an interface server."""
    django.setup(set_prefix=False)
    return bare_layers[alias]
