"""Tests of the rules for names (specification, section 2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from channels_classic.layers.conformance.harness import Harness
from channels_classic.layers.types import Turn

LONGEST = "n" * 99

BAD_EVERYWHERE: list[Any] = [
    "",
    "two words",
    "a/b",
    "caf\u00e9",
    "line\n",
    "tab\tbed",
    "a:b",
    "a*",
    "two!marks!here",
    "two?marks?here",
    "two?marks!here",
    "two!marks?here",
    "!local",
    "?random",
    LONGEST + "n",
    "single-reader?",
    b"bytes",
    None,
    17,
    ["http.request"],
]
GOOD = ["http.request", "a", "under_score-and.dot", "UPPER9", LONGEST, "body?AbC123", "sends.qTzX!a1b2"]


class NameTests(Harness):
    """Good names work, and bad ones raise ``TypeError`` with the name in the text."""

    def check_refused(self, call: Callable[[Any], Any], names: Iterable[Any]) -> None:
        """Check that ``call`` raises ``TypeError`` for each of ``names``, and quotes it."""
        for name in names:
            with self.subTest(name=name):
                with self.assertRaises(TypeError) as caught:
                    call(name)
                text = str(caught.exception)
                self.assertTrue(repr(name) in text or str(name) in text, f"{name!r} is not quoted in: {text}")

    def test_good_channel_names_work(self) -> None:
        """A name has letters, digits, '-', '_' and '.', up to 99 of them, and may have a type mark."""
        layer = self.new_layer()
        for name in GOOD:
            with self.subTest(name=name):
                layer.send(name, {"to": name})
                process, mark, _ = name.partition("!")
                self.assertEqual(layer.receive([process + mark]), (name, {"to": name}))

    def test_send_refuses_bad_names(self) -> None:
        """``send`` accepts channel names only."""
        layer = self.new_layer()
        self.check_refused(lambda name: layer.send(name, {}), BAD_EVERYWHERE)

    def test_receive_refuses_bad_names(self) -> None:
        """``receive`` accepts channel names, but a process-specific one only up to and including its mark."""
        layer = self.new_layer()
        bad = [*BAD_EVERYWHERE, "sends.qTzX!a1b2"]
        self.check_refused(lambda name: layer.receive([name]), bad)
        self.check_refused(lambda name: layer.receive(["good", name]), bad)
        self.check_refused(lambda name: layer.receive_many([name]), bad)
        self.check_refused(lambda name: layer.receive_batch([name], 1), bad)

    def test_receive_refuses_a_single_str(self) -> None:
        """A single name would be taken for a list of letters."""
        layer = self.new_layer()
        self.check_refused(layer.receive, ["http.request"])

    def test_a_batch_to_send_refuses_bad_names(self) -> None:
        """``prepare`` checks names, so that in a batch only a full channel can refuse a message."""
        layer = self.new_layer()
        self.check_refused(lambda name: layer.prepare(name, {}), BAD_EVERYWHERE)

    def test_groups_refuse_bad_names(self) -> None:
        """A group name has no type mark. Members have channel names."""
        layer = self.new_layer("groups")
        bad = [*BAD_EVERYWHERE, "body?AbC123", "sends.qTzX!a1b2", "sends!"]
        self.check_refused(lambda name: layer.group_add(name, "channel"), bad)
        self.check_refused(lambda name: layer.group_discard(name, "channel"), bad)
        self.check_refused(layer.group_channels, bad)
        self.check_refused(lambda name: layer.send_group(name, {}), bad)
        self.check_refused(lambda name: layer.prepare_group(name, {}), bad)
        self.check_refused(lambda name: layer.group_add("group", name), BAD_EVERYWHERE)
        self.check_refused(lambda name: layer.group_discard("group", name), BAD_EVERYWHERE)
        self.assertEqual(layer.group_channels("group"), [])

    def test_the_longest_group_name_works(self) -> None:
        """Fewer than 100 characters are 99."""
        layer = self.new_layer("groups")
        layer.group_add(LONGEST, LONGEST)
        layer.send_group(LONGEST, {"to": "all"})
        self.assertEqual(layer.receive([LONGEST]), (LONGEST, {"to": "all"}))

    def test_no_channel_name_is_reserved(self) -> None:
        """This includes names that the layer might use for itself."""
        words = "epoch queue paused group groups routes members turns freed waiting value values totals statistics"
        needed = ("groups", "statistics", "ordering", "values")
        layer = self.new_layer(*needed)
        every = [name for word in words.split() for name in (word, f"{word}!")]
        members = [name + "one" if name.endswith("!") else name for name in every]
        for name, member in zip(every, members, strict=True):
            layer.send(member, {"name": name})
            layer.group_add(name.replace("!", ".process"), member)
            layer.pause([f"{name.rstrip('!')}!two"])
            layer.set_value(name, name.encode(), 60, replace=False)
            layer.enter_turn(Turn(member, 0, "websocket.receive"), {})
            layer.enter_turn(Turn(member, 1, "websocket.receive", slight=True), {})
        for name, member in zip(every, members, strict=True):
            group = name.replace("!", ".process")
            with self.subTest(name=name):
                self.assertEqual(layer.receive([name]), (member, {"name": name}))
                self.assertEqual(layer.group_channels(group), [member])
                self.assertEqual((layer.get_value(name) or (b"",))[0], name.encode())
                self.assertFalse(layer.enter_turn(Turn(member, 0, "websocket.receive"), {}))
                layer.send_group(group, {"to": "group"})
                self.assertEqual(self.all_messages(layer, name), [(member, {"to": "group"})])
                self.assertEqual(layer.channel_statistics(member)["messages_pending"], 0)
                layer.release([member])

    def test_new_channel_refuses_bad_patterns(self) -> None:
        """A pattern ends in its only type mark."""
        layer = self.new_layer()
        bad = ["", "plain", "body?AbC123", "sends!a1b2", "two words?", "a?b?", "a!b?", "a?!", "?", "!", None, 17]
        self.check_refused(layer.new_channel, [*bad, LONGEST + "?"])

    def test_new_channel_makes_names_that_no_one_uses(self) -> None:
        """A name is the pattern with a random part, and never comes twice."""
        layer = self.new_layer()
        for pattern in ("http.request.body?", "websocket.send.qTzX!"):
            with self.subTest(pattern=pattern):
                names = {layer.new_channel(pattern) for _ in range(1000)}
                self.assertEqual(len(names), 1000)
                name = names.pop()
                self.assertTrue(name.startswith(pattern) and name != pattern, name)
                layer.send(name, {"to": "it"})
                receive_on = name if pattern.endswith("?") else pattern
                self.assertEqual(layer.receive([receive_on]), (name, {"to": "it"}))
