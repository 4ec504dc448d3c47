"""Test cases with layers in memory; here their tests are run by pytest-django."""

from __future__ import annotations

import unittest
from typing import Any

import pytest
from django.test import SimpleTestCase, override_settings

from channels_classic import Channel, Group, channel_layers
from channels_classic.message import Message
from channels_classic.test import (
    ChannelTestCase,
    ChannelTestCaseMixin,
    TransactionChannelTestCase,
)
from tests.channels_classic.test.examples import TWO_LAYERS, echo, layers


class TestCases:
    """What a class of tests sees; run as the runner of Django would."""

    def run(self, cls: type[unittest.TestCase]) -> unittest.TestResult:
        result = unittest.TestResult()
        unittest.defaultTestLoader.loadTestsFromTestCase(cls).run(result)
        for _, trace in (*result.errors, *result.failures):
            pytest.fail(trace, pytrace=False)
        return result

    @pytest.mark.parametrize("base", [ChannelTestCase, TransactionChannelTestCase])
    @pytest.mark.django_db(transaction=True)
    @override_settings(CHANNEL_LAYERS=TWO_LAYERS)
    def test_each_test_has_layers_of_its_own(self, base: Any) -> None:
        seen: list[Any] = layers()

        class Example(base):  # type: ignore[misc]
            @classmethod
            def setUpClass(cls) -> None:
                super().setUpClass()
                seen.extend(layers())

            def setUp(self) -> None:  # without super().setUp(), as many are written
                seen.extend(layers())
                Channel("queue").send({"number": 1})

            def test_one(self) -> None:
                assert self.get_next_message("queue")["number"] == 1
                assert self.get_next_message("queue") is None

            test_two = test_one

        outside = layers()
        assert self.run(Example).testsRun == 2
        assert len({id(layer) for layer in seen}) == len(seen) == 8
        assert layers() == outside

    def test_the_mixin_is_no_test_case(self) -> None:
        """A project may derive a mixin with tests from it, which no runner must collect by itself."""

        class Shared(ChannelTestCaseMixin):
            def test_queue(self) -> None:
                Channel("queue").send({"number": 1})
                assert self.get_next_message("queue", require=True)["number"] == 1
                with pytest.raises(AssertionError, match="got none"):
                    self.get_next_message("queue", require=True)

        class Example(Shared, SimpleTestCase):
            pass

        assert not issubclass(Shared, unittest.TestCase)
        assert self.run(Example).testsRun == 1

    @override_settings(CHANNEL_LAYERS=TWO_LAYERS)
    def test_which_layers(self) -> None:
        _, other = layers()

        class Example(ChannelTestCase):
            test_channel_aliases = ["default"]
            databases = set()

            def test(self) -> None:
                assert layers()[1] is other

        class Wrong(ChannelTestCase):
            test_channel_aliases = ["third"]

            def test(self) -> None:
                pass

        assert self.run(Example).testsRun == 1
        result = unittest.TestResult()
        unittest.defaultTestLoader.loadTestsFromTestCase(Wrong).run(result)
        assert "no 'third'" in result.errors[0][1]

    def test_settings_of_a_test(self) -> None:
        class Example(ChannelTestCase):
            databases = set()

            @override_settings(CHANNEL_LAYERS=TWO_LAYERS)
            def test(self) -> None:
                Channel("queue", alias="other").send({"number": 1})
                assert self.get_next_message("queue") is None
                assert self.get_next_message("queue", alias="other")["number"] == 1

        assert self.run(Example).testsRun == 1

    def test_debugging(self) -> None:
        outside = channel_layers["default"]

        class Example(ChannelTestCase):
            databases = set()

            def test(self) -> None:
                assert channel_layers["default"] is not outside
                raise LookupError("seen by the debugger")

        with pytest.raises(LookupError):
            Example("test").debug()
        assert channel_layers["default"] is outside


class TestGetNextMessage(ChannelTestCase):
    def test_a_message(self) -> None:
        Channel("queue").send({"number": 33, "reply_channel": "replies!1"})
        message = self.get_next_message("queue", require=True)
        assert isinstance(message, Message)
        assert message.content == {"number": 33, "reply_channel": "replies!1"}
        assert message.channel.name == "queue"
        assert message.reply_channel.name == "replies!1"

    def test_a_consumer_of_the_test_s_own_call(self) -> None:
        Channel("queue").send({"text": "hi", "reply_channel": "replies!1"})
        echo(self.get_next_message("queue"))
        assert self.get_next_message("replies!1")["text"] == "hi"

    def test_none(self) -> None:
        assert self.get_next_message("queue") is None
        with pytest.raises(AssertionError, match="^Expected a message on channel queue, got none"):
            self.get_next_message("queue", require=True)

    def test_one_client_among_several_of_a_process(self) -> None:
        for number, name in enumerate("abab"):
            Channel(f"replies!{name}").send({"number": number})
        numbers = [self.get_next_message(f"replies!{name}")["number"] for name in "bbaa"]
        assert numbers == [1, 3, 0, 2]

    def test_a_group(self) -> None:
        for member in ("queue", "replies!a", "replies!b"):
            Group("group").add(member)
        Group("group").send({"number": 42})
        for member in ("queue", "replies!b", "replies!a"):
            assert self.get_next_message(member, require=True)["number"] == 42
            assert self.get_next_message(member) is None

    def test_a_channel_for_its_name(self) -> None:
        channel = Channel("queue")
        channel.send({})
        assert self.get_next_message(channel) is not None
