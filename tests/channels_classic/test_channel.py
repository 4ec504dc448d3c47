"""``Channel`` and ``Group``, and the sends that wait for the end of a consumer."""

import contextvars
import threading
from unittest import mock

import pytest
from django.test import override_settings

from channels_classic.asgi import channel_layers
from channels_classic.channel import Channel, Group
from channels_classic.exceptions import InvalidChannelLayerError
from channels_classic.layers import InMemoryChannelLayer, LayerUnavailable
from channels_classic.own_sends import bare_layer
from channels_classic.pending import PendingSends


def received(layer, *channels):
    """All that the channels hold."""
    messages = []
    while (pair := layer.receive(channels)) != (None, None):
        messages.append(pair)
    return messages


def send_out(pending):
    """What a worker does when the consumer is done."""
    for layer, delivery in pending.deliveries:
        layer.send_batch([delivery])


class TestChannel:
    def test_its_text_is_its_name(self, layer):
        channel = Channel("http.request", channel_layer=layer)
        assert str(channel) == channel.name == "http.request"
        assert repr(channel) == "Channel('http.request')"
        assert channel.channel_layer is layer

    def test_it_sends(self, layer):
        Channel("queue", channel_layer=layer).send({"number": 1})
        Channel("queue", channel_layer=layer).send({"number": 2}, immediately=True)
        assert received(layer, "queue") == [("queue", {"number": 1}), ("queue", {"number": 2})]

    def test_it_is_on_the_default_layer(self):
        with override_settings():
            assert Channel("queue").channel_layer is channel_layers["default"].channel_layer

    def test_it_is_on_the_layer_of_its_alias(self):
        entry = {"BACKEND": "channels_classic.layers.InMemoryChannelLayer", "ROUTING": {}}
        with override_settings(CHANNEL_LAYERS={"default": entry, "other": entry}):
            channel = Channel("queue", alias="other")
            assert channel.channel_layer is channel_layers["other"].channel_layer
            channel.send({"on": "other"})
            assert channel_layers["default"].receive(["queue"]) == (None, None)
            assert channel_layers["other"].receive(["queue"]) == ("queue", {"on": "other"})

    def test_an_unknown_alias_is_an_error_that_names_it(self):
        with pytest.raises(
            InvalidChannelLayerError, match=r"CHANNEL_LAYERS has no 'elsewhere'; it has: 'default'"
        ):
            Channel("queue", alias="elsewhere")

    @pytest.mark.parametrize("name", ["two words", "", "a!b!c", None, b"bytes"])
    def test_a_bad_name_is_refused_at_once(self, layer, name):
        with pytest.raises(TypeError) as caught:
            Channel(name, channel_layer=layer)
        assert repr(name) in str(caught.value)

    @pytest.mark.parametrize("content", [None, "text", ["list"], 1])
    @pytest.mark.parametrize("immediately", [False, True])
    def test_content_that_is_not_a_dict_is_refused(self, layer, content, immediately):
        with pytest.raises(TypeError) as caught:
            Channel("queue", channel_layer=layer).send(content, immediately=immediately)
        assert repr(content) in str(caught.value)

    def test_a_full_channel_is_an_error_outside_of_consumers(self):
        layer = InMemoryChannelLayer(capacity=1)
        channel = Channel("queue", channel_layer=layer)
        channel.send({})
        with pytest.raises(layer.ChannelFull, match="'queue' is full"):
            channel.send({})


class TestGroup:
    def test_its_text_is_its_name(self, layer):
        group = Group("chat", channel_layer=layer)
        assert str(group) == group.name == "chat"
        assert repr(group) == "Group('chat')"
        assert group.channel_layer is layer

    @pytest.mark.parametrize("as_name", [False, True])
    def test_members_are_channels_or_names(self, layer, as_name):
        group = Group("chat", channel_layer=layer)
        members = ["queue", "sends.one!a"]
        for name in members:
            group.add(name if as_name else Channel(name, channel_layer=layer))
        assert sorted(layer.group_channels("chat")) == members
        group.send({"to": "all"})
        assert sorted(channel for channel, _ in received(layer, "queue", "sends.one!")) == members
        for name in members:
            group.discard(name if as_name else Channel(name, channel_layer=layer))
        assert layer.group_channels("chat") == []

    def test_it_is_on_the_layer_of_its_alias(self):
        entry = {"BACKEND": "channels_classic.layers.InMemoryChannelLayer", "ROUTING": {}}
        with override_settings(CHANNEL_LAYERS={"default": entry, "other": entry}):
            Group("chat", alias="other").add("queue")
            Group("chat").add("another")
            assert channel_layers["other"].group_channels("chat") == ["queue"]
            assert channel_layers["default"].group_channels("chat") == ["another"]

    @pytest.mark.parametrize("name", ["two words", "", "a!b", "a?b", None])
    def test_a_bad_name_is_refused_at_once(self, layer, name):
        with pytest.raises(TypeError) as caught:
            Group(name, channel_layer=layer)
        assert repr(name) in str(caught.value)

    @pytest.mark.parametrize("member", ["two words", None, 1])
    def test_a_bad_member_is_refused(self, layer, member):
        group = Group("chat", channel_layer=layer)
        for call in (group.add, group.discard):
            with pytest.raises(TypeError) as caught:
                call(member)
            assert repr(member) in str(caught.value)

    @pytest.mark.parametrize("content", [None, "text", ["list"], 1])
    def test_content_that_is_not_a_dict_is_refused(self, layer, content):
        with pytest.raises(ValueError) as caught:
            Group("chat", channel_layer=layer).send(content)
        assert repr(content) in str(caught.value)

    def test_full_members_are_not_an_error(self):
        layer = InMemoryChannelLayer(capacity=1)
        group = Group("chat", channel_layer=layer)
        group.add("queue")
        group.send({"number": 1})
        group.send({"number": 2})
        assert received(layer, "queue") == [("queue", {"number": 1})]


class TestPendingSends:
    """Inside a consumer sends wait, in order, until it is done."""

    def test_sends_wait_and_keep_their_order(self, layer):
        Group("chat", channel_layer=layer).add("queue")
        with PendingSends() as pending:
            Channel("queue", channel_layer=layer).send({"number": 1})
            Group("chat", channel_layer=layer).send({"number": 2})
            Channel("queue", channel_layer=layer).send({"number": 3})
            assert received(layer, "queue") == []
        send_out(pending)
        assert [message["number"] for _, message in received(layer, "queue")] == [1, 2, 3]

    def test_immediate_sends_do_not_wait(self, layer):
        Group("chat", channel_layer=layer).add("queue")
        with PendingSends() as pending:
            Channel("queue", channel_layer=layer).send({"number": "later"})
            Channel("queue", channel_layer=layer).send({"number": 1}, immediately=True)
            Group("chat", channel_layer=layer).send({"number": 2}, immediately=True)
            assert [message["number"] for _, message in received(layer, "queue")] == [1, 2]
        assert len(pending.deliveries) == 1

    def test_later_changes_do_not_show(self, layer):
        content = {"list": [1]}
        with PendingSends() as pending:
            Channel("queue", channel_layer=layer).send(content)
            content["list"].append(2)
        send_out(pending)
        assert received(layer, "queue") == [("queue", {"list": [1]})]

    def test_bad_content_shows_where_it_is_sent(self, layer):
        with PendingSends() as pending:
            with pytest.raises(TypeError, match="set"):
                Channel("queue", channel_layer=layer).send({"bad": {1}})
            with pytest.raises(layer.MessageTooLarge):
                Group("chat", channel_layer=layer).send({"large": "x" * 2**20})
        assert pending.deliveries == []

    def test_it_knows_the_channels_that_were_sent_to(self, layer):
        with PendingSends() as pending:
            Channel("one", channel_layer=layer).send({})
            Channel("two", channel_layer=layer).send({}, immediately=True)
            Group("chat", channel_layer=layer).send({})
        assert pending.names == {"one", "two", "chat"}

    def test_it_is_over_when_the_consumer_raises(self, layer):
        with pytest.raises(ZeroDivisionError), PendingSends():
            raise ZeroDivisionError
        Channel("queue", channel_layer=layer).send({})
        assert received(layer, "queue") == [("queue", {})]

    def test_one_inside_another_has_its_own_sends(self, layer):
        channel = Channel("queue", channel_layer=layer)
        with PendingSends() as outer:
            channel.send({"number": 1})
            with PendingSends() as inner:
                channel.send({"number": 2})
            channel.send({"number": 3})
        assert (len(outer.deliveries), len(inner.deliveries)) == (2, 1)

    def test_other_threads_send_at_once(self, layer):
        channel = Channel("queue", channel_layer=layer)
        with PendingSends() as pending:
            thread = threading.Thread(target=channel.send, args=({"by": "thread"},))
            thread.start()
            thread.join()
        assert pending.deliveries == []
        assert received(layer, "queue") == [("queue", {"by": "thread"})]

    def test_it_goes_along_with_the_context(self, layer):
        """As ``sync_to_async`` and ``asyncio.to_thread`` hand it on."""
        channel = Channel("queue", channel_layer=layer)
        with PendingSends() as pending:
            context = contextvars.copy_context()
            thread = threading.Thread(target=context.run, args=(channel.send, {"by": "thread"}))
            thread.start()
            thread.join()
        assert len(pending.deliveries) == 1


class Counting(InMemoryChannelLayer):
    """A layer of a project's own."""

    def __init__(self, **config):
        super().__init__(**config)
        self.seen = []

    def send(self, channel, message):
        self.seen.append((channel, message))
        super().send(channel, message)

    def send_group(self, group, message):
        self.seen.append((group, message))
        super().send_group(group, message)


class TestLayersWithSendsOfTheirOwn:
    def test_a_class_that_overrides_them(self):
        layer = Counting()
        Group("group", channel_layer=layer).add("queue")
        Channel("queue", channel_layer=layer).send({"number": 1})
        Group("group", channel_layer=layer).send({"number": 2})
        assert layer.seen == [("queue", {"number": 1}), ("group", {"number": 2})]
        assert received(layer, "queue") == [("queue", {"number": 1}), ("queue", {"number": 2})]

    def test_when_the_consumer_is_done(self):
        layer = Counting()
        content = {"list": [1]}
        with PendingSends() as pending:
            Channel("queue", channel_layer=layer).send(content)
            Channel("queue", channel_layer=layer).send({"now": True}, immediately=True)
            content["list"].append(2)
            assert layer.seen == [("queue", {"now": True})]
        assert pending.names == {"queue"}
        assert layer.seen[1:] == [("queue", {"list": [1]})]

    def test_a_layer_that_is_a_mock(self):
        layer = mock.Mock()
        Channel("queue", channel_layer=layer).send({"a": 1})
        Group("group", channel_layer=layer).send({"b": 2})
        Group("group", channel_layer=layer).add("queue")
        assert layer.mock_calls == [
            mock.call.send("queue", {"a": 1}),
            mock.call.send_group("group", {"b": 2}),
            mock.call.group_add("group", "queue"),
        ]

    @pytest.mark.parametrize("bare", [True, False])
    def test_a_mock_in_the_place_of_a_send(self, bare):
        wrapper = channel_layers["default"]
        target = wrapper.channel_layer if bare else wrapper
        with mock.patch.object(target, "send", side_effect=target.send) as send:
            Channel("queue").send({"a": 1})
            Channel("queue", channel_layer=wrapper).send({"a": 2})
        assert [call.args for call in send.mock_calls] == [("queue", {"a": 1}), ("queue", {"a": 2})]
        Channel("queue").send({"a": 3})
        assert send.call_count == 2
        assert received(wrapper, "queue") == [("queue", {"a": number}) for number in (1, 2, 3)]

    def test_a_full_channel(self, caplog):
        layer = Counting(capacity=1)
        channel = Channel("queue", channel_layer=layer)
        channel.send({})
        with pytest.raises(layer.ChannelFull):
            channel.send({})
        with mock.patch("channels_classic.own_sends.RETRY_SECONDS", 0.05), PendingSends():
            channel.send({})
            Channel("other", channel_layer=layer).send({})
        assert "A message to 'queue' was dropped. Channel 'queue' is full" in caplog.text
        assert received(layer, "other") == [("other", {})]

    def test_a_layer_that_is_unreachable(self, caplog):
        class Away(Counting):
            def send(self, channel, message):
                if channel == "queue":
                    raise LayerUnavailable("Its server does not answer.")
                super().send(channel, message)

        layer = Away()
        with PendingSends():
            Channel("queue", channel_layer=layer).send({})
            Channel("other", channel_layer=layer).send({})
        assert "A message to 'queue' was lost. Its server does not answer." in caplog.text
        assert received(layer, "other") == [("other", {})]

    def test_our_layers_override_nothing(self):
        wrapped = channel_layers["default"]
        assert all(bare_layer(wrapped, method) is wrapped.channel_layer for method in ("send", "send_group"))
