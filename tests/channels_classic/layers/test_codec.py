"""Messages to bytes and back."""

import enum
import json
from collections import OrderedDict, defaultdict, namedtuple

import pytest
from django.utils.safestring import mark_safe
from hypothesis import example, given
from hypothesis import strategies as st

from channels_classic.layers import MessageTooLarge, codec
from channels_classic.layers.conformance.messages import typed

# Any code point, halves of surrogate pairs included: a browser may send them.
texts = st.text(st.characters())
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.binary() | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=5,
)
messages = st.dictionaries(texts, values)


@given(messages)
@example({"half a pair": "\ud83d", "\udc00": ["\udfff"]})
@example({"int": 2**63 - 1, "other": -(2**63), "float": -0.0})
def test_a_message_comes_back_as_it_was(message):
    codec.check_message(message)
    assert typed(codec.unpack(codec.pack(message))) == typed(message)


@given(st.tuples(values, st.tuples(values)))
def test_tuples_come_back_as_lists(pair):
    codec.check_message({"pair": pair})
    first, (second,) = pair
    assert typed(codec.unpack(codec.pack({"pair": pair}))) == typed({"pair": [first, [second]]})


@given(messages)
@example({"": False})
@example({"\x00" * 50: ["\x00" * 50, False, None, -1e-300]})
@example({"list": [False] * 1000})
@example({"list": [-128] * 1000})
@example({"list": [[], {}] * 100})
def test_a_message_that_is_small_when_packed_is_small_as_json(message):
    """``pack`` relies on this when it skips the size as JSON."""
    assert codec.json_size(message) <= 6 * len(codec.pack(message))


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists).map(lambda value: {"": value})
)
def test_the_size_is_that_of_json(message):
    expected = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    assert codec.json_size(message) == len(expected)


@given(st.binary())
def test_bytes_are_measured_by_their_length(content):
    assert codec.json_size({"content": content}) == codec.json_size({"content": ""}) + len(content)


@pytest.mark.parametrize(
    ("unit", "size_of_unit"),
    [
        ("x", 1),
        ("\u00e9", 2),
        ("\u4e16", 3),
        ("\U0001f600", 4),
        ("\x00", 6),
        ('"', 2),
        ("\ud83d", 3),
        (b"\xff", 1),
    ],
)
def test_one_mebibyte_passes_and_one_byte_more_does_not(unit, size_of_unit):
    empty = {"value": unit[:0], "pad": ""}
    count, pad = divmod(codec.MAX_JSON_SIZE - codec.json_size(empty), size_of_unit)
    message = {"value": unit * count, "pad": "x" * pad}
    assert codec.json_size(message) == 1024 * 1024
    assert codec.unpack(codec.pack(message)) == message
    with pytest.raises(MessageTooLarge) as caught:
        codec.pack({**message, "pad": "x" * (pad + 1)})
    assert "1048576" in str(caught.value)
    assert "1048577" in str(caught.value)


def test_a_message_that_is_too_long_only_as_json_is_refused():
    """The packed message may have only a sixth of the bytes."""
    message = {"list": [False] * 180_000}
    assert codec.json_size(message) > codec.MAX_JSON_SIZE
    with pytest.raises(MessageTooLarge):
        codec.pack(message)


class Colour(enum.IntEnum):
    RED = 1


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        (mark_safe("<b>"), "<b>"),
        (Colour.RED, 1),
        (Point(1, 2), [1, 2]),
        (OrderedDict(a=1), {"a": 1}),
        (defaultdict(list, a=[1]), {"a": [1]}),
        (True, True),
    ],
)
def test_values_of_subclasses_arrive_as_plain_values(value, arrives):
    message = {"value": value}
    codec.check_message(message)
    assert typed(codec.unpack(codec.pack(message))) == typed({"value": arrives})


@pytest.mark.parametrize(
    ("message", "where", "what"),
    [
        ({"a": {"b": [1, {2}]}}, "message['a']['b'][1]", "{2}"),
        ({"a": {"b": (1, {2})}}, "message['a']['b'][1]", "set"),
        ({"when": object}, "message['when']", "object"),
        ({"a": [{3: 4}]}, "message['a'][0]", "key 3"),
        ({"a": [2**63]}, "message['a'][0]", "9223372036854775808"),
        ({"a": [-(2**63) - 1]}, "message['a'][0]", "-9223372036854775809"),
        ({b"a": 1}, "message", "key b'a'"),
    ],
)
def test_a_bad_value_is_named_with_its_place(message, where, what):
    with pytest.raises(TypeError) as caught:
        codec.check_message(message)
    assert where in str(caught.value)
    assert what in str(caught.value)


@pytest.mark.parametrize("message", [None, "text", b"bytes", 1, ["list"], [("key", "value")]])
def test_a_message_is_a_dict(message):
    with pytest.raises(TypeError, match="must be a dict") as caught:
        codec.check_message(message)
    assert repr(message) in str(caught.value)


@given(
    st.recursive(
        st.builds(object), lambda inner: st.lists(inner, min_size=1) | st.dictionaries(texts, inner, min_size=1)
    )
)
def test_a_bad_value_is_found_wherever_it_is(value):
    with pytest.raises(TypeError):
        codec.check_message({"value": value})


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return {"value": value}


def test_deep_nesting_arrives_and_deeper_is_refused():
    message = nested(codec.MAX_DEPTH - 2)
    codec.check_message(message)
    assert codec.unpack(codec.pack(message)) == message
    for depth in (codec.MAX_DEPTH + 1, 100_000):
        with pytest.raises(TypeError, match="nested 200 deep at most"):
            codec.check_message(nested(depth))


def test_a_message_that_holds_itself_is_refused():
    message = {}
    message["self"] = [message]
    with pytest.raises(TypeError, match="nested"):
        codec.check_message(message)


@given(st.binary())
@example(b"")
@example(b"\xc1")
@example(b"\xdd\xff\xff\xff\xff")
@example(b"\x81\xa1\xff\xc0")
@example(b"\x91" * 100_000)
@example(codec.pack({"a": 1}) + b"more")
def test_bytes_that_are_not_packed_are_a_value_error(garbage):
    try:
        message = codec.unpack(garbage)
    except ValueError:
        return
    assert isinstance(message, dict)


@pytest.mark.parametrize("value", [b"\x90", b"\xc0", b"\x01", b"\xa1x"])
def test_packed_bytes_that_are_not_a_message_are_a_value_error(value):
    with pytest.raises(ValueError, match="not a message"):
        codec.unpack(value)


@given(messages, st.data())
def test_a_message_that_was_cut_is_a_value_error(message, data):
    packed = codec.pack(message)
    cut = data.draw(st.integers(0, len(packed) - 1))
    with pytest.raises(ValueError):
        codec.unpack(packed[:cut])
