"""Tests of groups (specification, section 3)."""

from __future__ import annotations

import threading

from channels_classic.layers.conformance.harness import Harness

CHANNELS = ["queue", "body?x", "sends.one!a", "sends.one!b", "sends.two!a"]
RECEIVE_ON = ["queue", "body?x", "sends.one!", "sends.two!"]


class GroupTests(Harness):
    """A message to a group reaches every member once."""

    def test_a_group_that_nobody_joined_is_empty(self) -> None:
        """It is no error to ask for its members, to send to it, or to discard a channel from it."""
        layer = self.new_layer("groups")
        self.assertEqual(layer.group_channels("group"), [])
        layer.send_group("group", {})
        layer.group_discard("group", "queue")
        self.assertEqual(self.all_messages(layer, *RECEIVE_ON), [])

    def test_every_kind_of_channel_can_be_a_member(self) -> None:
        """Normal, single-reader and process-specific channels, even several of one process, each get a message."""
        layer = self.new_layer("groups")
        for channel in CHANNELS:
            layer.group_add("group", channel)
        self.assertEqual(sorted(layer.group_channels("group")), sorted(CHANNELS))
        layer.send_group("group", {"to": "all"})
        received = self.all_messages(layer, *RECEIVE_ON)
        self.assertEqual(sorted(channel for channel, _ in received), sorted(CHANNELS))
        self.assertEqual([message for _, message in received], [{"to": "all"}] * len(CHANNELS))

    def test_a_process_itself_can_be_a_member(self) -> None:
        """So can a channel that is the name of a process only, beside the channels of that process."""
        layer = self.new_layer("groups")
        layer.group_add("group", "sends.one!")
        self.assertEqual(layer.group_channels("group"), ["sends.one!"])
        layer.group_add("group", "sends.one!a")
        layer.send_group("group", {})
        received = self.all_messages(layer, "sends.one!")
        self.assertEqual(sorted(channel for channel, _ in received), ["sends.one!", "sends.one!a"])
        layer.group_discard("group", "sends.one!")
        self.assertEqual(layer.group_channels("group"), ["sends.one!a"])

    def test_a_member_is_a_member_once(self) -> None:
        """One discard ends a membership, however often the channel was added."""
        layer = self.new_layer("groups")
        for channel in CHANNELS:
            with self.subTest(channel=channel):
                for _ in range(3):
                    layer.group_add("group", channel)
                self.assertEqual(layer.group_channels("group"), [channel])
                layer.send_group("group", {})
                self.assertEqual(self.all_messages(layer, *RECEIVE_ON), [(channel, {})])
                for _ in range(3):
                    layer.group_discard("group", channel)
                self.assertEqual(layer.group_channels("group"), [])
                layer.send_group("group", {})
                self.assertEqual(self.all_messages(layer, *RECEIVE_ON), [])

    def test_a_discard_ends_one_membership_only(self) -> None:
        """Other members stay in the group, and the channel stays in other groups."""
        layer = self.new_layer("groups")
        for channel in CHANNELS:
            layer.group_add("group", channel)
            layer.group_add("other", channel)
        for left in range(len(CHANNELS)):
            layer.group_discard("group", CHANNELS[left])
            expected = sorted(CHANNELS[left + 1 :])
            with self.subTest(discarded=CHANNELS[left]):
                self.assertEqual(sorted(layer.group_channels("group")), expected)
                layer.send_group("group", {})
                received = self.all_messages(layer, *RECEIVE_ON)
                self.assertEqual(sorted(channel for channel, _ in received), expected)
        layer.send_group("other", {})
        received = self.all_messages(layer, *RECEIVE_ON)
        self.assertEqual(sorted(channel for channel, _ in received), sorted(CHANNELS))

    def test_messages_to_a_group_keep_their_order(self) -> None:
        """Each member gets them in order, among messages that were sent to its own channel."""
        layer = self.new_layer("groups")
        for channel in CHANNELS:
            layer.group_add("group", channel)
        for number in range(0, 20, 2):
            layer.send_group("group", {"number": number})
            for channel in CHANNELS:
                layer.send(channel, {"number": number + 1})
        received = self.all_messages(layer, *RECEIVE_ON)
        for channel in CHANNELS:
            numbers = [message["number"] for name, message in received if name == channel]
            self.assertEqual(numbers, list(range(20)), channel)

    def test_a_member_gets_the_messages_that_were_sent_while_it_was_one(self) -> None:
        """It does not matter when the messages are received."""
        layer = self.new_layer("groups")
        for channel in CHANNELS:
            layer.send_group("group", {"number": 0})
            layer.group_add("group", channel)
            layer.send_group("group", {"number": 1})
            layer.send(channel, {"number": 2})
            layer.group_discard("group", channel)
            layer.send_group("group", {"number": 3})
            layer.send(channel, {"number": 4})
            layer.group_add("group", channel)
            layer.send_group("group", {"number": 5})
            layer.group_discard("group", channel)
        received = self.all_messages(layer, *RECEIVE_ON)
        for channel in CHANNELS:
            numbers = [message["number"] for name, message in received if name == channel]
            self.assertEqual(numbers, [1, 2, 4, 5], channel)

    def test_a_full_member_is_skipped(self) -> None:
        """This is not an error, and the others get the message."""
        layer = self.new_layer("groups", capacity=3)
        for channel in CHANNELS:
            layer.group_add("group", channel)
        # A layer may send changes of membership through the queue of a process, so make room for them.
        self.assertEqual(self.all_messages(layer, *RECEIVE_ON), [])
        for full in ("queue", "body?x", "sends.two!a"):
            with self.subTest(full=full):
                held = self.fill(layer, full)
                layer.send_group("group", {"to": "all"})
                received = self.all_messages(layer, *RECEIVE_ON)
                self.assertEqual(received.count((full, {"to": "all"})), 0)
                self.assertEqual(sum(channel == full for channel, _ in received), held)
                for channel in CHANNELS:
                    if channel != full:
                        self.assertEqual(received.count((channel, {"to": "all"})), 1, channel)

    def test_members_of_a_full_process_are_skipped_together(self) -> None:
        """They share the queue of the process."""
        layer = self.new_layer("groups", capacity=3)
        for channel in CHANNELS:
            layer.group_add("group", channel)
        self.assertEqual(self.all_messages(layer, *RECEIVE_ON), [])
        self.fill(layer, "sends.one!c")
        layer.send_group("group", {"to": "all"})
        received = [channel for channel, message in self.all_messages(layer, *RECEIVE_ON) if "to" in message]
        self.assertEqual(sorted(received), ["body?x", "queue", "sends.two!a"])

    def test_a_broadcast_to_many_members(self) -> None:
        """A few processes have more members than a channel holds messages."""
        layer = self.new_layer("groups", capacity=10)
        members = [f"sends.{number % 3}!{number}" for number in range(60)]
        processes = ["sends.0!", "sends.1!", "sends.2!"]
        for start in range(0, len(members), 5):
            for member in members[start : start + 5]:
                layer.group_add("group", member)
            # The processes receive, as they do in practice, so a layer that sends changes of membership through
            # their queues has room.
            self.assertEqual(self.all_messages(layer, *processes), [])
        self.assertEqual(sorted(layer.group_channels("group")), sorted(members))
        layer.send_group("group", {"to": "all"})
        received = self.all_messages(layer, *processes)
        self.assertCountEqual([channel for channel, _ in received], members)
        self.assertEqual([message for _, message in received], [{"to": "all"}] * len(members))

    def test_a_message_behind_changes_of_membership_is_found_at_once(self) -> None:
        """``receive`` returns nothing only if there is no message."""
        layer = self.new_layer("groups")
        for number in range(20):
            layer.group_add("group", f"sends.one!{number}")
            layer.group_discard("group", f"sends.one!{number}")
        layer.send("sends.one!a", {"number": 1})
        self.assertEqual(layer.receive(["sends.one!"]), ("sends.one!a", {"number": 1}))
        for number in range(20):
            layer.group_add("group", f"sends.one!{number}")
        layer.send("sends.one!a", {"number": 2})
        batch = layer.receive_batch(["sends.one!"], 1)
        self.assertEqual(self.contents(batch), [("sends.one!a", {"number": 2})])

    def test_a_member_that_is_discarded_while_others_send_is_gone(self) -> None:
        """This holds for any timing of broadcast and discard, and for the last member of a process."""
        layer = self.new_layer("groups")
        sender = layer if layer.local_only else self.new_layer("groups")
        over = threading.Event()

        def broadcast() -> None:
            while not over.is_set():
                sender.send_group("group", {})

        def read() -> None:
            while not over.is_set():
                layer.receive_batch(["sends.one!"], 100, 0.05)

        def come_and_go() -> None:
            try:
                for number in range(50):
                    sender.group_add("group", f"sends.one!{number}")
                    sender.group_discard("group", f"sends.one!{number}")
            finally:
                over.set()

        self.at_once(broadcast, read, come_and_go)
        self.all_in_batches(layer, "sends.one!")
        self.assertEqual(layer.group_channels("group"), [])
        layer.group_add("group", "sends.one!witness")
        layer.send_group("group", {})
        channels = [received.channel for received in self.all_in_batches(layer, "sends.one!")]
        self.assertEqual(channels, ["sends.one!witness"])

    def test_groups_and_channels_have_names_of_their_own(self) -> None:
        """A group and a channel with the same name are independent."""
        layer = self.new_layer("groups")
        layer.group_add("name", "member")
        layer.send("name", {"to": "the channel"})
        layer.send_group("name", {"to": "the group"})
        self.assertEqual(self.all_messages(layer, "name"), [("name", {"to": "the channel"})])
        self.assertEqual(self.all_messages(layer, "member"), [("member", {"to": "the group"})])
