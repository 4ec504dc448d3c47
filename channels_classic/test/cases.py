"""Test cases whose channel layers are in memory, and new for each test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from unittest import TestResult

from django.test import TestCase, TransactionTestCase

from channels_classic import DEFAULT_CHANNEL_LAYER
from channels_classic.asgi import channel_layers
from channels_classic.channel import Channel
from channels_classic.message import Message
from channels_classic.test.layers import in_memory_layers, next_received

if TYPE_CHECKING:
    from django.test import SimpleTestCase as _Case
else:
    _Case = object  # so that no runner collects a mixin that a project derives from this one


class ChannelTestCaseMixin(_Case):
    """Gives each test channel layers of its own, in memory, with the routing of the settings.

    It comes before a test case of Django among the bases of a class.
    """

    test_channel_aliases: Sequence[str] | None = None
    """The aliases in ``settings.CHANNEL_LAYERS`` that are replaced. The default is all."""

    @classmethod
    def setUpClass(cls) -> None:
        """Keep messages that are sent for class-wide data away from the real layers, too."""
        cls.enterClassContext(in_memory_layers(cls.test_channel_aliases))
        super().setUpClass()

    # These wrap setUp and tearDown, whether or not a subclass calls those of its parents.

    def run(self, result: TestResult | None = None) -> TestResult | None:
        """Run the test."""
        with in_memory_layers(self.test_channel_aliases):
            return super().run(result)

    def debug(self) -> None:
        """Run the test without catching what it raises."""
        with in_memory_layers(self.test_channel_aliases):
            super().debug()

    def get_next_message(
        self, channel: Channel | str, alias: str = DEFAULT_CHANNEL_LAYER, require: bool = False
    ) -> Any:
        """The next message on ``channel``, as a ``Message``, or ``None`` if there is none.

        Arguments:
            alias: the layer that the channel is on.
            require: whether the test fails if there is none.
        """
        layer = channel_layers[alias]
        received = next_received(layer, str(channel))
        if received is not None:
            return Message(received.content, received.channel, layer)
        if require:
            self.fail(f"Expected a message on channel {channel}, got none.")
        return None


class ChannelTestCase(ChannelTestCaseMixin, TestCase):
    """Django's ``TestCase``, with channel layers in memory (specification, section 11)."""


class TransactionChannelTestCase(ChannelTestCaseMixin, TransactionTestCase):
    """Django's ``TransactionTestCase``, with channel layers in memory (specification, section 11)."""
