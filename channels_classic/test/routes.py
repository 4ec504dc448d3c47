"""``apply_routes``: replaces the routing for a test."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, TypeVar
from unittest import TestCase

from django.dispatch import Signal

from channels_classic import DEFAULT_CHANNEL_LAYER
from channels_classic.asgi import ChannelLayerWrapper, channel_layers
from channels_classic.routing import Include, RouteLike, Router, Routing

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

routing_replaced = Signal()
"""Sent with ``layer`` when a layer has got another router, for workers that wait on the channels of the former
one."""


class apply_routes:  # noqa: N801
    """Replaces the routing of channel layers: in a ``with`` block, a function, or each test of a class.

    The default routes of the replaced router, such as those of a live server, stay.

    Arguments:
        routes: a routing in any form, a single route, or a list of routings.
        aliases: the aliases in ``settings.CHANNEL_LAYERS``.
    """

    def __init__(
        self,
        routes: Routing | RouteLike | Iterable[Routing],
        aliases: Iterable[str] = (DEFAULT_CHANNEL_LAYER,),
    ) -> None:
        self.routes = list_routes(routes)
        self.aliases = tuple(aliases)
        self._entered: list[ExitStack] = []

    def __enter__(self) -> apply_routes:
        with ExitStack() as stack:
            for alias in self.aliases:
                layer = channel_layers[alias]
                stack.callback(set_routing, layer, layer.routing, layer.router)
                router = Router(self.routes)
                router.add_defaults(layer.router.defaults)
                set_routing(layer, self.routes, router)
            self._entered.append(stack.pop_all())
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._entered.pop().close()

    def enter(self) -> None:
        """Replace the routing until ``exit`` is called, where no ``with`` block can be: in ``setUp``."""
        self.__enter__()

    def exit(self, *exc_info: object) -> None:
        """End what ``enter`` began."""
        self.__exit__(*exc_info)

    def __call__(self, decorated: Decorated) -> Decorated:
        """Decorate a function, or all tests of a class."""
        if isinstance(decorated, type):
            self._decorate_class(decorated)
            return decorated
        if iscoroutinefunction(decorated):

            @wraps(decorated)
            async def async_function(*args: Any, **kwargs: Any) -> Any:
                with self:
                    return await decorated(*args, **kwargs)

            return async_function  # type: ignore[return-value]

        @wraps(decorated)
        def function(*args: Any, **kwargs: Any) -> Any:
            with self:
                return decorated(*args, **kwargs)

        return function  # type: ignore[return-value]

    def _decorate_class(self, cls: Any) -> None:
        if not issubclass(cls, TestCase):
            for name in [name for name in dir(cls) if name.startswith("test")]:
                setattr(cls, name, self(getattr(cls, name)))
            return
        set_up = cls.setUp

        @wraps(set_up)
        def setUp(test: TestCase) -> None:
            # The decorators of a subclass run before those of its base class, so its routes take precedence.
            taken = test.__dict__.setdefault("_aliases_with_routes", set())
            applied = apply_routes(self.routes, [alias for alias in self.aliases if alias not in taken])
            applied.__enter__()
            test.addCleanup(applied.__exit__)
            taken.update(applied.aliases)
            test.addCleanup(taken.difference_update, applied.aliases)
            set_up(test)

        cls.setUp = setUp


def list_routes(routes: Any) -> list[RouteLike]:
    """The routes in a list, from any accepted form."""
    if hasattr(routes, "match"):
        return [routes]
    if isinstance(routes, (list, tuple)):
        return [route if hasattr(route, "match") else Include(route) for route in routes]
    return [Include(routes)]


def set_routing(layer: ChannelLayerWrapper, routing: Any, router: Router) -> None:
    """Set the routing of ``layer``."""
    layer.routing = routing
    layer.router = router
    routing_replaced.send(sender=apply_routes, layer=layer)
