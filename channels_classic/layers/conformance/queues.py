"""Tests of channels as queues: order, readers, fairness (specification, sections 2 and 3)."""

from __future__ import annotations

from channels_classic.layers.conformance.harness import Harness


class QueueTests(Harness):
    """Messages to a channel are received once, in order."""

    def test_the_layer_has_its_configuration_as_attributes(self) -> None:
        """A layer has its configuration and its exceptions as attributes."""
        layer = self.new_layer(expiry=30, group_expiry=600, capacity=7)
        self.assertEqual((layer.expiry, layer.group_expiry, layer.capacity), (30, 600, 7))
        self.assertIsInstance(layer.extensions, list)
        self.assertTrue(all(isinstance(extension, str) for extension in layer.extensions), layer.extensions)
        self.assertTrue(issubclass(layer.ChannelFull, Exception))
        self.assertTrue(issubclass(layer.MessageTooLarge, Exception))

    def test_an_empty_channel_gives_nothing(self) -> None:
        """``receive`` always returns a pair."""
        layer = self.new_layer()
        for channels in (["queue"], ["queue", "body?x", "sends!"], []):
            with self.subTest(channels=channels):
                self.assertEqual(layer.receive(channels), (None, None))
                self.assertEqual(layer.receive_batch(channels, 10), [])

    def test_messages_come_once_and_in_order(self) -> None:
        """This holds for a normal, a single-reader and a process-specific channel."""
        layer = self.new_layer()
        for channel, receive_on in (("queue", "queue"), ("body?x", "body?x"), ("sends.one!a", "sends.one!")):
            with self.subTest(channel=channel):
                for number in range(50):
                    layer.send(channel, {"number": number})
                expected = [(channel, {"number": number}) for number in range(50)]
                self.assertEqual(self.all_messages(layer, receive_on), expected)

    def test_receive_many_is_receive(self) -> None:
        """The old name still works."""
        layer = self.new_layer()
        self.assertEqual(layer.receive_many(["queue"]), (None, None))
        layer.send("queue", {"number": 1})
        self.assertEqual(layer.receive_many(["queue"], block=True), ("queue", {"number": 1}))

    def test_only_the_channels_asked_for_are_read(self) -> None:
        """A name that begins like another one is a different channel."""
        layer = self.new_layer()
        for channel in ("queue", "queue.longer", "queue?x", "queue?y", "queue!x"):
            layer.send(channel, {"to": channel})
        self.assertEqual(self.all_messages(layer, "queue?x"), [("queue?x", {"to": "queue?x"})])
        self.assertEqual(self.all_messages(layer, "queue!"), [("queue!x", {"to": "queue!x"})])
        self.assertEqual(self.all_messages(layer, "queue"), [("queue", {"to": "queue"})])
        rest = self.all_messages(layer, "queue", "queue.longer", "queue?x", "queue?y", "queue!")
        self.assertCountEqual(rest, [(channel, {"to": channel}) for channel in ("queue.longer", "queue?y")])

    def test_channels_are_read_together_each_in_order(self) -> None:
        """One call reads from several channels."""
        layer = self.new_layer()
        for number in range(20):
            for channel in ("one", "two?x", "three!y"):
                layer.send(channel, {"number": number})
        messages = self.all_messages(layer, "one", "two?x", "three!")
        self.assertEqual(len(messages), 60)
        for channel in ("one", "two?x", "three!y"):
            numbers = [message["number"] for name, message in messages if name == channel]
            self.assertEqual(numbers, list(range(20)), channel)

    def test_a_process_gets_the_messages_of_all_its_clients(self) -> None:
        """They come in the order sent, each with its full name, and none of another process."""
        layer = self.new_layer()
        clients = ["sends.one!a", "sends.one!b", "sends.one!a", "sends.one!c", "sends.one!b"]
        for number, client in enumerate(clients):
            layer.send(client, {"number": number})
            layer.send("sends.other!a", {"number": number})
        expected = [(client, {"number": number}) for number, client in enumerate(clients)]
        self.assertEqual(self.all_messages(layer, "sends.one!"), expected)
        self.assertEqual(len(self.all_messages(layer, "sends.other!")), 5)

    def test_busy_channels_do_not_starve_a_quiet_one(self) -> None:
        """Its place in the list does not matter."""
        layer = self.new_layer(capacity=5)
        busy = [f"busy.{number}" for number in range(5)]
        for position in range(len(busy) + 1):
            channels = [*busy[:position], "quiet", *busy[position:]]
            with self.subTest(channels=channels):
                for channel in busy:
                    self.fill(layer, channel)
                layer.send("quiet", {})
                for _ in range(200):
                    received, _ = layer.receive(channels)
                    assert received is not None
                    if received == "quiet":
                        break
                    self.fill(layer, received)
                else:
                    self.fail("200 messages of busy channels were received before the one of the quiet channel.")

    def test_busy_channels_do_not_starve_a_quiet_one_in_batches(self) -> None:
        """If a batch is too small for all channels, others are left out each time."""
        layer = self.new_layer(capacity=5)
        busy = [f"busy.{number}" for number in range(5)]
        for position in range(len(busy) + 1):
            channels = [*busy[:position], "quiet", *busy[position:]]
            with self.subTest(channels=channels):
                for channel in busy:
                    self.fill(layer, channel)
                layer.send("quiet", {})
                for _ in range(100):
                    received = {one.channel for one in layer.receive_batch(channels, 3)}
                    if "quiet" in received:
                        break
                    for channel in received:
                        self.fill(layer, channel)
                else:
                    self.fail("100 batches held messages of busy channels only.")

    def test_a_large_batch_is_shared(self) -> None:
        """A busy channel leaves room in the batch for the others."""
        layer = self.new_layer(capacity=100)
        for channel in ("busy", "second", "third"):
            for _ in range(100 if channel == "busy" else 2):
                layer.send(channel, {})
        received = [one.channel for one in layer.receive_batch(["busy", "second", "third"], 30)]
        self.assertEqual(len(received), 30)
        self.assertEqual((received.count("second"), received.count("third")), (2, 2))

    def test_flush_empties_all_channels(self) -> None:
        """After that the layer works as if it were new."""
        layer = self.new_layer("flush", capacity=2)
        channels = ["queue", "body?x", "sends.one!a"]
        for channel in channels:
            self.fill(layer, channel)
        layer.flush()
        self.assertEqual(self.all_messages(layer, "queue", "body?x", "sends.one!"), [])
        for channel in channels:
            self.assertEqual(self.fill(layer, channel), 2)

    def test_flush_ends_all_memberships(self) -> None:
        """After that ``group_channels`` is empty, and messages to groups reach nobody."""
        layer = self.new_layer("flush", "groups")
        for channel in ("queue", "sends.one!a"):
            layer.group_add("group", channel)
        layer.send_group("group", {})
        self.assertEqual(len(self.all_messages(layer, "queue", "sends.one!")), 2)
        layer.send_group("group", {})
        layer.flush()
        self.assertEqual(layer.group_channels("group"), [])
        layer.send_group("group", {})
        self.assertEqual(self.all_messages(layer, "queue", "sends.one!"), [])
        layer.group_add("group", "sends.one!a")
        layer.send_group("group", {"after": "flush"})
        self.assertEqual(self.all_messages(layer, "sends.one!"), [("sends.one!a", {"after": "flush"})])

    def test_flush_drops_the_rest_of_a_message_to_a_group(self) -> None:
        """Members in one process may share an entry. Its rest is dropped, too."""
        layer = self.new_layer("flush", "groups")
        for client in "abc":
            layer.group_add("group", f"sends.one!{client}")
        layer.send_group("group", {})
        self.assertNotEqual(layer.receive(["sends.one!"]), (None, None))
        layer.flush()
        self.assertEqual(layer.receive(["sends.one!"]), (None, None))

    def test_a_closed_layer_can_be_used_again(self) -> None:
        """A closed layer opens what it needs when it is used again. To close it twice does no harm."""
        layer = self.new_layer()
        layer.send("queue", {"before": "close"})
        layer.close()
        layer.close()
        layer.send("queue", {"after": "close"})
        self.assertEqual(layer.receive(["queue"])[0], "queue")
