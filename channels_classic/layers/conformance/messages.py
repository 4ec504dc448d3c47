"""Tests of what messages may hold, and of their size (specification, section 3)."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from channels_classic.layers.conformance.harness import Harness

MEBIBYTE = 1024 * 1024

VALUES: dict[str, Any] = {
    "no text": "",
    "text": "Gr\u00fc\u00dfe, \u4e16\u754c \U0001f600",
    "controls": "\x00\x07\x1f\x7f\r\n\u2028",
    "half a surrogate pair": "\ud83d",
    "no bytes": b"",
    "all bytes": bytes(range(256)),
    "bytes that could be text": b"text",
    "zero": 0,
    "the largest int": 2**63 - 1,
    "the smallest int": -(2**63),
    "an int that no double holds": 2**53 + 1,
    "a float": 0.1,
    "a whole float": 1.0,
    "negative zero": -0.0,
    "a large float": 1.7976931348623157e308,
    "a small float": 5e-324,
    "true": True,
    "false": False,
    "none": None,
    "no list": [],
    "a list": [1, "1", b"1", 1.0, True, None],
    "no dict": {},
    "a dict": {"": 1, "k\u00e9y": "v", "with space": b"v"},
    "nested": {"a": [{"b": [[b"deep", "deep"], {"c": {"d": [None]}}]}]},
}

BAD_VALUES: dict[str, Any] = {
    "an int beyond 64 bits": 2**63,
    "a negative int beyond 64 bits": -(2**63) - 1,
    "a set": {1, 2},
    "a date": date(2017, 1, 1),
    "a decimal": Decimal("1.5"),
    "a complex": 1j,
    "a bytearray": bytearray(b"x"),
    "an object": object(),
    "a class": dict,
    "a key that is an int": {1: "one"},
    "a key that is bytes": {b"key": "value"},
    "a key that is None": {None: "value"},
}


def typed(value: Any) -> Any:
    """``value`` with its types, because 1 == 1.0 == True and 0.0 == -0.0."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    return type(value).__name__, repr(value)


class MessageTests(Harness):
    """Values arrive unchanged. The sender gets an error for values that cannot be sent."""

    def test_every_kind_of_value_arrives_as_it_was(self) -> None:
        """``bytes`` and ``str`` stay apart, numbers are exact, and types do not change."""
        layer = self.new_layer()
        for kind, value in VALUES.items():
            with self.subTest(kind=kind):
                sent = {"value": value, "in a list": [value], "in a dict": {"value": value}}
                layer.send("values", sent)
                channel, came = layer.receive(["values"])
                self.assertEqual(channel, "values")
                self.assertEqual(typed(came), typed(sent))

    def test_all_values_travel_together(self) -> None:
        """One message can hold all of them. A message can be empty."""
        layer = self.new_layer()
        layer.send("values", VALUES)
        layer.send("values", {})
        self.assertEqual(typed(layer.receive(["values"])[1]), typed(VALUES))
        self.assertEqual(layer.receive(["values"]), ("values", {}))

    def test_a_tuple_arrives_as_a_list(self) -> None:
        """This holds at any depth."""
        layer = self.new_layer()
        layer.send("values", {"pair": (b"a", (1, 2)), "in": [("x",)]})
        _, came = layer.receive(["values"])
        self.assertEqual(typed(came), typed({"pair": [b"a", [1, 2]], "in": [["x"]]}))

    def test_infinities_and_nan_arrive(self) -> None:
        """They are floats, too."""
        layer = self.new_layer()
        sent = {"floats": [float("inf"), float("-inf"), float("nan")]}
        layer.send("values", sent)
        self.assertEqual(typed(layer.receive(["values"])[1]), typed(sent))

    def test_bad_values_are_refused_by_send(self) -> None:
        """The sender gets ``TypeError``, and the reader gets nothing."""
        layer = self.new_layer()
        for kind, value in BAD_VALUES.items():
            with self.subTest(kind=kind):
                for message in ({"value": value}, {"deep": [{"value": [value]}]}):
                    with self.assertRaises(TypeError):
                        layer.send("values", message)
                    with self.assertRaises(TypeError):
                        layer.prepare("values", message)
        self.assertEqual(layer.receive(["values"]), (None, None))

    def test_bad_values_are_refused_by_send_group(self) -> None:
        """This holds even for a group without members."""
        layer = self.new_layer("groups")
        for kind, value in BAD_VALUES.items():
            with self.subTest(kind=kind):
                with self.assertRaises(TypeError):
                    layer.send_group("nobody", {"value": value})
                with self.assertRaises(TypeError):
                    layer.prepare_group("nobody", {"value": value})

    def test_a_message_is_a_dict(self) -> None:
        """Anything else is refused."""
        layer = self.new_layer()
        for message in (None, "text", b"bytes", 1, ["list"], [("key", "value")]):
            with self.subTest(message=message), self.assertRaises(TypeError):
                layer.send("values", message)  # type: ignore[arg-type]
        self.assertEqual(layer.receive(["values"]), (None, None))

    def test_a_message_just_under_the_limit_passes(self) -> None:
        """The limit is 1 MiB as JSON, whatever format a layer uses."""
        layer = self.new_layer()
        for message in (
            {"text": "x" * (MEBIBYTE - 100)},
            {"text": "\u4e16" * (MEBIBYTE // 3 - 100)},
            {"content": b"\xff" * (MEBIBYTE // 2), "more_content": True},
            {"list": [0] * (MEBIBYTE // 3 - 100)},
        ):
            with self.subTest(message=str(message)[:40]):
                layer.send("large", message)
                self.assertEqual(layer.receive(["large"]), ("large", message))

    def test_a_message_over_the_limit_is_refused(self) -> None:
        """The sender gets ``MessageTooLarge``, and the reader gets nothing."""
        layer = self.new_layer()
        for message in (
            {"text": "x" * MEBIBYTE},
            {"text": "\u4e16" * (MEBIBYTE // 3 + 1)},
            {"content": bytes(MEBIBYTE)},
            {"list": [False] * (MEBIBYTE // 6 + 1)},
            {"text": "\x00" * (MEBIBYTE // 6 + 1)},
        ):
            with self.subTest(message=str(message)[:40]):
                with self.assertRaises(layer.MessageTooLarge):
                    layer.send("large", message)
                with self.assertRaises(layer.MessageTooLarge):
                    layer.prepare("large", message)
        self.assertEqual(layer.receive(["large"]), (None, None))

    def test_a_message_over_the_limit_is_refused_by_send_group(self) -> None:
        """This holds even for a group without members."""
        layer = self.new_layer("groups")
        with self.assertRaises(layer.MessageTooLarge):
            layer.send_group("nobody", {"text": "x" * MEBIBYTE})

    def test_later_changes_by_the_sender_do_not_show(self) -> None:
        """A message arrives as it was when it was sent."""
        layer = self.new_layer()
        message = {"list": [1], "dict": {"key": "value"}}
        layer.send("values", message)
        delivery = layer.prepare("values", message)
        message["list"].append(2)  # type: ignore[attr-defined]
        message["dict"]["key"] = "other"  # type: ignore[index]
        message["new"] = True  # type: ignore[assignment]
        layer.send_batch([delivery])
        for _ in range(2):
            self.assertEqual(layer.receive(["values"]), ("values", {"list": [1], "dict": {"key": "value"}}))

    def test_changes_by_one_reader_do_not_show_to_others(self) -> None:
        """Each member of a group gets a message of its own, even in one process."""
        layer = self.new_layer("groups")
        members = ["queue", "sends.one!a", "sends.one!b", "sends.two!c"]
        for member in members:
            layer.group_add("group", member)
        layer.send_group("group", {"list": [1]})
        seen = []
        for _ in members:
            channel, message = layer.receive(["queue", "sends.one!", "sends.two!"])
            assert channel is not None
            assert message is not None
            self.assertEqual(message, {"list": [1]}, channel)
            message["list"].append(2)
            message["new"] = True
            seen.append(channel)
        self.assertEqual(sorted(seen), members)
