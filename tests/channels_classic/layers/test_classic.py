"""The calls of Channels 1 that all layers share and that send and receive nothing."""

import pytest

from channels_classic.asgi import channel_layers
from channels_classic.layers import InMemoryChannelLayer


@pytest.fixture(params=["the layer", "the layer of the settings"])
def layer(request):
    """A layer, or what stands for it in a project: ``message.channel_layer`` is this too."""
    return InMemoryChannelLayer(capacity=7) if request.param == "the layer" else channel_layers["default"]


@pytest.mark.parametrize("name", ["http.request", "http.response!abc", "single?abc", "a" * 99])
def test_valid_channel_names(layer, name):
    assert layer.valid_channel_name(name) is True
    assert layer.valid_channel_names([name, "other"]) is True


@pytest.mark.parametrize("name", ["", "a b", "a?", "a" * 100, "ü", 1, None])
def test_invalid_channel_names(layer, name):
    with pytest.raises(TypeError, match="A channel name must be a str"):
        layer.valid_channel_name(name)
    with pytest.raises(TypeError, match="A channel name must be a str"):
        layer.valid_channel_names(["other", name])


def test_names_to_receive_on(layer):
    assert layer.valid_channel_name("http.response!", receive=True) is True
    assert layer.valid_channel_names(["http.response!", "queue"], receive=True) is True
    with pytest.raises(TypeError, match="up to and including the '!'"):
        layer.valid_channel_name("http.response!abc", receive=True)


def test_names_of_groups(layer):
    assert layer.valid_group_name("chat-1.room_2") is True
    for name in ("a b", "a!b", "a?b", "", "a" * 100, None):
        with pytest.raises(TypeError, match="A group name must be a str"):
            layer.valid_group_name(name)


def test_the_capacity_under_its_old_name():
    layer = InMemoryChannelLayer(capacity=7, channel_capacity={"http.*": 9})
    assert layer.get_capacity("http.request") == layer.capacity_of("http.request") == 9
    assert layer.get_capacity("queue") == 7


def test_the_queue_of_a_name():
    layer = InMemoryChannelLayer()
    assert layer.non_local_name("http.response!abc") == "http.response!"
    assert layer.non_local_name("single?abc") == "single?abc"
