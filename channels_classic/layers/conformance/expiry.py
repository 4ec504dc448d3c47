"""Tests of the expiry of messages and memberships (specification, section 3)."""

from __future__ import annotations

import time

from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.conformance.harness import Harness
from channels_classic.layers.types import Received

EXPIRY = 0.3
"""Seconds: long enough for a layer that counts in whole seconds, and short enough for a test to wait."""


class ExpiryTests(Harness):
    """A message older than ``expiry`` is never delivered; a membership ends after ``group_expiry``."""

    def check_fresh_message(self, layer: BaseChannelLayer, channel: str, receive_on: str) -> None:
        """Check that a new message arrives. On a slow machine one may expire, so it tries several."""
        time_left = self.deadline()
        while time_left():
            layer.send(channel, {"age": "new"})
            received = layer.receive([receive_on])
            if received != (None, None):
                self.assertEqual(received, (channel, {"age": "new"}))
                return

    def test_an_old_message_is_never_delivered(self) -> None:
        """This holds for a single message, and for one with a newer message behind it."""
        layer = self.new_layer(expiry=EXPIRY)
        channels = [("queue", "queue"), ("body?x", "body?x"), ("sends.one!a", "sends.one!")]
        for channel, _ in channels:
            layer.send(channel, {"age": "old"})
        self.outlive(EXPIRY)
        for channel, receive_on in channels:
            with self.subTest(channel=channel):
                self.assertEqual(layer.receive([receive_on]), (None, None))
                self.assertEqual(layer.receive_batch([receive_on], 10), [])
        for channel, _ in channels:
            layer.send(channel, {"age": "old"})
        self.outlive(EXPIRY)
        for channel, receive_on in channels:
            with self.subTest(channel=channel):
                self.check_fresh_message(layer, channel, receive_on)

    def test_old_messages_take_no_room(self) -> None:
        """A channel that nobody reads takes messages again when those in it have expired."""
        layer = self.new_layer(expiry=EXPIRY, capacity=3)
        for channel, receive_on in (("queue", "queue"), ("body?x", "body?x"), ("sends.one!a", "sends.one!")):
            with self.subTest(channel=channel):
                for _ in range(3):
                    layer.send(channel, {"age": "old"})
                self.outlive(EXPIRY)
                self.check_fresh_message(layer, channel, receive_on)

    def test_only_expired_messages_take_no_room(self) -> None:
        """Messages that have not expired count, at any position."""
        layer = self.new_layer(expiry=EXPIRY, capacity=4)
        for channel in ("queue", "body?x", "sends.one!a"):
            with self.subTest(channel=channel):
                for _ in range(2):
                    layer.send(channel, {"age": "old"})
                self.outlive(EXPIRY / 2)
                young = time.monotonic() + EXPIRY
                for _ in range(2):
                    layer.send(channel, {"age": "young"})
                self.outlive(EXPIRY / 2)
                for _ in range(2):
                    layer.send(channel, {"age": "new"})
                full = bool(layer.send_batch([layer.prepare(channel, {"age": "new"})]))
                if time.monotonic() < young:  # on a slow machine, these have expired as well
                    self.assertTrue(full)

    def test_old_messages_behind_younger_ones_take_no_room(self) -> None:
        """Messages that were given back need not be sorted by age."""
        layer = self.new_layer(expiry=EXPIRY, capacity=2)
        for channel, receive_on in (("queue", "queue"), ("body?x", "body?x"), ("sends.one!a", "sends.one!")):
            with self.subTest(channel=channel):
                layer.send(channel, {"age": "old"})
                old = layer.receive_batch([receive_on], 1)
                self.outlive(EXPIRY / 2)
                layer.send(channel, {"age": "young"})
                young = layer.receive_batch([receive_on], 1)
                layer.give_back(old)
                layer.give_back(young)
                self.outlive(EXPIRY / 2)
                layer.send(channel, {"age": "new"})
                self.outlive(EXPIRY)

    def test_an_old_message_to_a_group_is_never_delivered(self) -> None:
        """No member gets it, even if members share one entry and another member was read in time."""
        layer = self.new_layer("groups", expiry=EXPIRY)
        for channel in ("queue", "sends.one!a", "sends.one!b"):
            layer.group_add("group", channel)
        layer.send_group("group", {"age": "old"})
        layer.receive(["sends.one!"])
        self.outlive(EXPIRY)
        self.assertEqual(layer.receive(["queue", "sends.one!"]), (None, None))
        self.assertEqual(sorted(layer.group_channels("group")), ["queue", "sends.one!a", "sends.one!b"])

    def test_a_message_given_back_keeps_its_age(self) -> None:
        """It expires as if it had not been received."""
        layer = self.new_layer(expiry=EXPIRY)
        time_left = self.deadline()
        batch: list[Received] = []
        while not batch and time_left():
            layer.send("queue", {"age": "old"})
            batch = layer.receive_batch(["queue"], 10)
        self.outlive(EXPIRY)
        layer.give_back(batch)
        self.assertEqual(layer.receive(["queue"]), (None, None))

    def test_a_membership_ends(self) -> None:
        """``group_channels`` and messages pass over the member, until another ``group_add``."""
        layer = self.new_layer("groups", group_expiry=EXPIRY)
        for channel in ("queue", "sends.one!a"):
            with self.subTest(channel=channel):
                layer.group_add("group", channel)
                self.outlive(EXPIRY)
                self.assertEqual(layer.group_channels("group"), [])
                layer.send_group("group", {})
                self.assertEqual(self.all_messages(layer, "queue", "sends.one!"), [])
                time_left = self.deadline()
                while time_left():
                    layer.group_add("group", channel)
                    layer.send_group("group", {})
                    if received := self.all_messages(layer, "queue", "sends.one!"):
                        self.assertEqual(received, [(channel, {})])
                        break

    def test_a_membership_lasts_when_it_is_added_again(self) -> None:
        """It lasts for ``group_expiry`` seconds from the last ``group_add``."""
        layer = self.new_layer("groups", group_expiry=EXPIRY)
        channels = ["queue", "sends.one!a"]
        time_left = self.deadline()
        while time_left():
            begun = time.monotonic()
            for channel in channels:
                layer.group_add("group", channel)
            self.outlive(EXPIRY / 2)
            added = time.monotonic()
            for channel in channels:
                layer.group_add("group", channel)
            added_again_in_time = time.monotonic() - begun < EXPIRY
            self.outlive(EXPIRY / 2)
            layer.send_group("group", {})
            members = sorted(layer.group_channels("group"))
            received = sorted(channel for channel, _ in self.all_messages(layer, "queue", "sends.one!"))
            # If the machine has paused for a while, they may really have ended. Then try once more.
            if added_again_in_time and time.monotonic() - added < EXPIRY:
                self.assertEqual(members, channels)
                self.assertEqual(received, channels)
                return
