import pytest

from channels_classic.channel import Channel
from channels_classic.message import Message


def test_what_a_consumer_sees(layer):
    content = {"reply_channel": "sends.one!a", "text": "hello", "empty": None}
    message = Message(content, "websocket.receive", layer)
    assert message.content is content
    assert isinstance(message.channel, Channel)
    assert message.channel.name == message.channel_name == "websocket.receive"
    assert message.channel is message.channel
    assert isinstance(message.reply_channel, Channel)
    assert message.reply_channel.name == "sends.one!a"
    assert message.channel_layer is layer
    assert repr(message) == f"Message(channel='websocket.receive', content={content!r})"


@pytest.mark.parametrize("content", [{}, {"reply_channel": None}, {"reply_channel": ""}])
def test_a_message_may_have_no_reply_channel(layer, content):
    assert Message(content, "queue", layer).reply_channel is None


def test_it_reads_like_its_content(layer):
    content = {"text": "hello", "empty": None}
    message = Message(content, "queue", layer)
    assert message["text"] == "hello"
    assert "text" in message
    assert "empty" in message
    assert "other" not in message
    assert message.get("text") == "hello"
    assert message.get("other") is None
    assert message.get("other", "default") == "default"
    assert list(message.keys()) == ["text", "empty"]
    assert list(message.values()) == ["hello", None]
    assert list(message.items()) == [("text", "hello"), ("empty", None)]
    with pytest.raises(KeyError, match="other"):
        message["other"]


def test_its_channels_are_on_its_layer(layer):
    message = Message({"reply_channel": "sends.one!a"}, "queue", layer)
    message.reply_channel.send({"to": "client"})
    message.channel.send({"to": "queue"})
    assert layer.receive(["sends.one!"]) == ("sends.one!a", {"to": "client"})
    assert layer.receive(["queue"]) == ("queue", {"to": "queue"})


def test_a_copy_is_a_message_of_its_own(layer):
    message = Message({"reply_channel": "sends.one!a", "headers": [["host", "a"]]}, "http.request", layer)
    copy = message.copy()
    copy.content["headers"][0][1] = "b"
    copy.content["more"] = True
    assert message.content == {"reply_channel": "sends.one!a", "headers": [["host", "a"]]}
    assert copy.channel.name == "http.request"
    assert copy.reply_channel.name == "sends.one!a"
    assert copy.channel_layer is layer


def test_a_copy_is_of_the_same_class(layer):
    class Letter(Message):
        pass

    assert type(Letter({}, "queue", layer).copy()) is Letter


def test_a_bad_reply_channel_is_named(layer):
    with pytest.raises(TypeError, match="'not a name'"):
        Message({"reply_channel": "not a name"}, "queue", layer)


def test_a_key_can_be_set(layer):
    content = {"a": 1}
    message = Message(content, "queue", layer)
    message["a"] = 2
    message["b"] = 3
    assert message.content is content
    assert content == {"a": 2, "b": 3}
