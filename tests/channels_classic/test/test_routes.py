"""``apply_routes``."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.test import TestCase

from channels_classic import channel_layers, include, route
from channels_classic.exceptions import (
    InvalidChannelLayerError,
)
from channels_classic.message import Message
from channels_classic.test import (
    ChannelTestCase,
    apply_routes,
)
from tests.channels_classic.test.examples import echo


class TestApplyRoutes(TestCase):
    """On the layers of the settings, where ``ChannelTestCase`` has not replaced them."""

    def setUp(self) -> None:
        self.usual = channel_layers["default"].router

    def tearDown(self) -> None:
        assert channel_layers["default"].router is self.usual

    def channels(self) -> set[str]:
        router = channel_layers["default"].router
        return set() if router is self.usual else router.channels

    def test_forms(self) -> None:
        one, two = route("one", echo), route("two", echo)
        for routes, channels in [
            (one, {"one"}),
            ([one, two], {"one", "two"}),
            ([[one], [two]], {"one", "two"}),
            ([include([one]), two], {"one", "two"}),
            ({"one": echo}, {"one"}),
            (f"{__name__}.ROUTES", {"dotted"}),
            ([], set()),
        ]:
            with apply_routes(routes) as applied:
                assert self.channels() == channels
                assert len(channel_layers["default"].routing) == len(applied.routes)
            assert self.channels() == set()

    def test_entered_and_left_by_hand(self) -> None:
        applied = apply_routes({"one": echo})
        applied.enter()
        assert self.channels() == {"one"}
        applied.exit()
        assert self.channels() == set()

    def test_default_routes_stay(self) -> None:
        """The views and the sockets of a router that serves somebody stay; a router without them gets none."""
        with apply_routes({"one": echo}):
            router = channel_layers["default"].router
            router.check_default()
            with apply_routes({"websocket.connect": echo}):
                inner = channel_layers["default"].router
                assert inner.channels == {"http.request", *(f"websocket.{kind}" for kind in KINDS)}
                layer = channel_layers["default"]
                assert inner.match(Message({}, "websocket.connect", layer)) == (echo, {})
                request = Message({}, "http.request", layer)
                assert inner.match(request) == router.match(request)
        assert self.channels() == set()

    def test_inside_one_another(self) -> None:
        outer = apply_routes({"outer": echo})
        with outer, apply_routes({"inner": echo}), outer:
            assert self.channels() == {"outer"}
        assert self.channels() == set()

    def test_after_an_error(self) -> None:
        with pytest.raises(LookupError), apply_routes({"one": echo}):
            raise LookupError

    def test_an_unknown_layer(self) -> None:
        with pytest.raises(InvalidChannelLayerError), apply_routes({"one": echo}, aliases=["default", "third"]):
            pass

    def test_something_else(self) -> None:
        with pytest.raises(ValueError, match="A routing must be a dict"):
            apply_routes(5)  # type: ignore[arg-type]

    def test_functions(self) -> None:
        @apply_routes({"one": echo})
        def function(argument: str) -> Any:
            """Its own."""
            return argument, self.channels()

        @apply_routes({"one": echo})
        async def asynchronous(argument: str) -> Any:
            await asyncio.sleep(0)
            return argument, self.channels()

        assert function("argument") == ("argument", {"one"})
        assert function.__doc__ == "Its own."
        assert asyncio.run(asynchronous("argument")) == ("argument", {"one"})


ROUTES = [route("dotted", echo)]
KINDS = ("connect", "receive", "disconnect")


@apply_routes({"one": echo})
class TestApplyRoutesToAClass(ChannelTestCase):
    def setUp(self) -> None:
        assert channel_layers["default"].router.channels == {"one"}

    def test_one(self) -> None:
        assert channel_layers["default"].router.channels == {"one"}

    def test_two(self) -> None:
        self.test_one()


@apply_routes(route("of_the_base", echo))
class Base(ChannelTestCase):
    __test__ = False


@apply_routes(route("of_the_subclass", echo))
class TestApplyRoutesToASubclass(Base):
    __test__ = True

    def test_its_own_count(self) -> None:
        assert channel_layers["default"].router.channels == {"of_the_subclass"}


@apply_routes({"one": echo})
class TestApplyRoutesToAClassOfPytest:
    def test_one(self) -> None:
        assert channel_layers["default"].router.channels == {"one"}

    def helper(self) -> set[str]:
        channels: set[str] = channel_layers["default"].router.channels
        return channels

    def test_two(self, channel_layer: Any) -> None:
        assert self.helper() == {"one"}
