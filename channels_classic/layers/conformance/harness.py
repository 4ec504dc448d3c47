"""How the tests of the contract make layers, wait, and use threads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.types import Received

if TYPE_CHECKING:
    from unittest import TestCase
else:
    # This is not a TestCase, so that a test module which imports the suite does not run it.
    TestCase = object

Result = TypeVar("Result")

PATIENCE = 30.0
"""Seconds after which a test gives up waiting. Only a layer that fails makes it wait so long."""


class Harness(TestCase):
    """The shared part of the suite: the hook that makes a layer, and ways to wait."""

    _first_layer: BaseChannelLayer | None = None

    def make_layer(self, **config: Any) -> BaseChannelLayer:
        """Make a new layer. This is the only method that you have to define.

        Arguments:
            config: keywords of ``BaseChannelLayer`` to pass on to the layer.

        A test that calls this several times needs layers as different processes have them, on the same server,
        unless the layer is ``local_only``. The suite flushes and closes them.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has to define make_layer(**config), which returns the layer to be tested."
        )

    def new_layer(self, *needed: str, **config: Any) -> BaseChannelLayer:
        """Make an empty layer.

        Arguments:
            needed: the extensions that the test needs. It is skipped if the layer lacks one.
            config: as for ``make_layer``.
        """
        layer = self.make_layer(**config)
        self.addCleanup(layer.close)
        for extension in needed:
            if extension not in layer.extensions:
                self.skipTest(f"{type(layer).__name__} lacks the extension {extension!r}.")
        if self._first_layer is None and "flush" in layer.extensions:
            self._first_layer = layer
            layer.flush()
            self.addCleanup(layer.flush)
        return layer

    def new_peers(self, number: int, *needed: str, **config: Any) -> list[BaseChannelLayer]:
        """Make layers as several processes have them. The test is skipped if the layer is ``local_only``."""
        first = self.new_layer(*needed, **config)
        if first.local_only:
            self.skipTest(f"{type(first).__name__} works inside one process only.")
        return [first] + [self.new_layer(**config) for _ in range(number - 1)]

    def deadline(self) -> Callable[[], bool]:
        """A function that returns true for ``PATIENCE`` seconds, and then fails the test."""
        end = time.monotonic() + PATIENCE

        def time_left() -> bool:
            if time.monotonic() > end:
                self.fail(f"Waited {PATIENCE:.0f} seconds in vain.")
            return True

        return time_left

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition`` holds, for something that the layer does in the background."""
        time_left = self.deadline()
        while not condition() and time_left():
            time.sleep(0.01)

    def outlive(self, seconds: float) -> None:
        """Wait until all that was done so far is older than ``seconds``, by any clock."""
        end = time.monotonic() + seconds + 0.05
        while (left := end - time.monotonic()) > 0:
            time.sleep(left)

    def next_message(self, layer: BaseChannelLayer, *channels: str) -> tuple[str, dict[str, Any]]:
        """Wait for the next message on ``channels``."""
        time_left = self.deadline()
        while time_left():
            channel, message = layer.receive(channels, block=True)
            if channel is not None and message is not None:
                return channel, message
        raise AssertionError  # not reached: time_left fails the test

    def all_messages(self, layer: BaseChannelLayer, *channels: str) -> list[tuple[str, dict[str, Any]]]:
        """Receive all messages of ``channels`` by the classic call."""
        messages: list[tuple[str, dict[str, Any]]] = []
        while True:
            channel, message = layer.receive(channels)
            if channel is None or message is None:
                self.assertEqual((channel, message), (None, None))
                return messages
            messages.append((channel, message))

    def all_in_batches(self, layer: BaseChannelLayer, *channels: str, limit: int = 1000) -> list[Received]:
        """Receive all messages of ``channels`` in batches."""
        messages: list[Received] = []
        while batch := layer.receive_batch(channels, limit):
            messages += batch
        return messages

    def contents(self, received: Sequence[Received]) -> list[tuple[str, dict[str, Any]]]:
        """The channels and messages without receipts, as ``all_messages`` returns them."""
        return [(one.channel, one.content) for one in received]

    def fill(self, layer: BaseChannelLayer, channel: str) -> int:
        """Send to ``channel`` until it is full. Returns the number of messages that it took."""
        for count in range(10_000):
            try:
                layer.send(channel, {"filling": count})
            except layer.ChannelFull:
                return count
        self.fail(f"{channel!r} took 10000 messages and never was full.")

    def at_once(self, *calls: Callable[[], Result]) -> list[Result]:
        """Run ``calls`` at the same time, each in a thread. Returns their results in order."""
        with ThreadPoolExecutor(len(calls)) as pool:
            return [future.result() for future in [pool.submit(call) for call in calls]]

    def in_event_loop(self, layer: BaseChannelLayer, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Run ``coroutine`` in an event loop of its own, and close what ``layer`` has opened there."""

        async def main() -> Result:
            try:
                return await asyncio.wait_for(coroutine, PATIENCE)
            finally:
                await layer.aclose()

        return asyncio.run(main())
