"""Tests of the capacity of channels (specification, section 3)."""

from __future__ import annotations

import re

from channels_classic.layers.conformance.harness import Harness


class CapacityTests(Harness):
    """A channel takes messages up to its capacity, then raises ``ChannelFull``."""

    def test_a_full_channel_refuses(self) -> None:
        """For each message that is received it takes one more."""
        layer = self.new_layer(capacity=3)
        for channel, receive_on in (("queue", "queue"), ("body?x", "body?x"), ("sends.one!a", "sends.one!")):
            with self.subTest(channel=channel):
                for number in range(3):
                    layer.send(channel, {"number": number})
                with self.assertRaises(layer.ChannelFull) as caught:
                    layer.send(channel, {"number": "refused"})
                self.assertIn(channel, str(caught.exception))
                self.assertEqual(layer.receive([receive_on]), (channel, {"number": 0}))
                layer.send(channel, {"number": 3})
                with self.assertRaises(layer.ChannelFull):
                    layer.send(channel, {"number": "refused"})
                numbers = [message["number"] for _, message in self.all_messages(layer, receive_on)]
                self.assertEqual(numbers, [1, 2, 3])

    def test_a_full_channel_does_not_affect_others(self) -> None:
        """Each single-reader channel also has its own capacity."""
        layer = self.new_layer(capacity=2)
        for full, other in (("queue", "queue.other"), ("body?x", "body?y"), ("sends.one!a", "sends.two!a")):
            with self.subTest(full=full):
                self.assertEqual(self.fill(layer, full), 2)
                self.assertEqual(self.fill(layer, other), 2)

    def test_the_clients_of_a_process_share_one_capacity(self) -> None:
        """``capacity`` messages to any of the clients fill the queue of the process."""
        layer = self.new_layer(capacity=4)
        for number in range(4):
            layer.send(f"capp!{number}", {"number": number})
        for client in ("capp!0", "capp!4"):
            with self.assertRaises(layer.ChannelFull):
                layer.send(client, {})
        self.assertEqual(layer.receive(["capp!"]), ("capp!0", {"number": 0}))
        layer.send("capp!4", {"number": 4})
        clients = [channel for channel, _ in self.all_messages(layer, "capp!")]
        self.assertEqual(clients, ["capp!1", "capp!2", "capp!3", "capp!4"])

    def test_particular_channels_have_their_own_capacities(self) -> None:
        """A glob or a regular expression sets them. All other channels have the capacity of the layer."""
        layer = self.new_layer(
            capacity=5,
            channel_capacity={
                "exact": 1,
                "http.*": 2,
                re.compile(r"ws\.\d"): 3,
                "body?*": 4,
                re.compile(r"^sends\.one!.+"): 6,
            },
        )
        for channel, capacity in (
            ("exact", 1),
            ("exact.not", 5),
            ("not.exact", 5),
            ("http.request", 2),
            ("http.", 2),
            ("http", 5),
            ("not.http.request", 5),
            ("ws.7", 3),
            ("ws.77", 3),
            ("not.ws.7", 5),
            ("body?x", 4),
            ("body?y", 4),
            ("sends.one!a", 6),
            ("sends.two!a", 5),
        ):
            with self.subTest(channel=channel):
                self.assertEqual(self.fill(layer, channel), capacity)

    def test_the_first_match_wins(self) -> None:
        """The patterns are tried in the order of the dict."""
        layer = self.new_layer(channel_capacity={"http.request": 1, "http.*": 2, re.compile("h"): 3})
        self.assertEqual(self.fill(layer, "http.request"), 1)
        self.assertEqual(self.fill(layer, "http.disconnect"), 2)
        self.assertEqual(self.fill(layer, "hi"), 3)
        layer = self.new_layer(channel_capacity={re.compile("H"): 3, "*": 2, "other": 1})
        self.assertEqual(self.fill(layer, "other"), 2)
        self.assertEqual(self.fill(layer, "HTTP"), 3)

    def test_senders_at_the_same_time_do_not_exceed_it(self) -> None:
        """The check for room and the append are one atomic step."""
        layer = self.new_layer(capacity=50)

        def send() -> int:
            taken = 0
            for _ in range(20):
                try:
                    layer.send("queue", {})
                    taken += 1
                except layer.ChannelFull:
                    pass
            return taken

        self.assertEqual(sum(self.at_once(*[send] * 6)), 50)
        self.assertEqual(len(self.all_messages(layer, "queue")), 50)
