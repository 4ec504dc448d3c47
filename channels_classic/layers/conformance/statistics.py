"""Tests of the extension ``statistics`` (specification, section 3)."""

from __future__ import annotations

from channels_classic.layers.conformance.harness import Harness


class StatisticsTests(Harness):
    """A layer counts the messages of a channel, the refused ones, and those that wait."""

    def test_the_statistics_of_a_new_channel_are_zero(self) -> None:
        """All its numbers are there, and are zero."""
        layer = self.new_layer("statistics", "flush")
        self.assertEqual(layer.global_statistics(), {"messages_count": 0, "channel_full_count": 0})
        for channel in ("queue", "body?x", "sends.one!a"):
            with self.subTest(channel=channel):
                self.assertEqual(
                    layer.channel_statistics(channel),
                    {"messages_count": 0, "channel_full_count": 0, "messages_pending": 0, "messages_max_age": 0},
                )

    def test_messages_and_refusals_are_counted(self) -> None:
        """They are counted per channel and in total."""
        layer = self.new_layer("statistics", "flush", capacity=3)
        for _ in range(5):
            self.fill(layer, "queue")  # 3 messages the first time, and one refusal each time
        layer.send("other", {})
        statistics = layer.channel_statistics("queue")
        self.assertEqual((statistics["messages_count"], statistics["channel_full_count"]), (3, 5))
        statistics = layer.channel_statistics("other")
        self.assertEqual((statistics["messages_count"], statistics["channel_full_count"]), (1, 0))
        self.assertEqual(layer.global_statistics(), {"messages_count": 4, "channel_full_count": 5})

    def test_the_refusals_of_a_paused_channel_are_counted(self) -> None:
        """They count as those of a full one."""
        layer = self.new_layer("statistics", "flush")
        layer.pause(["sends.one!a"])
        with self.assertRaises(layer.ChannelFull):
            layer.send("sends.one!a", {})
        self.assertEqual(layer.global_statistics(), {"messages_count": 0, "channel_full_count": 1})
        self.assertEqual(layer.channel_statistics("sends.one!")["channel_full_count"], 1)

    def test_waiting_messages_are_counted(self) -> None:
        """This number goes down as messages are received; the count of all messages does not."""
        layer = self.new_layer("statistics", "flush")
        for expected in (1, 2, 3):
            layer.send("queue", {})
            self.assertEqual(layer.channel_statistics("queue")["messages_pending"], expected)
        for expected in (2, 1, 0):
            layer.receive(["queue"])
            statistics = layer.channel_statistics("queue")
            self.assertEqual((statistics["messages_pending"], statistics["messages_count"]), (expected, 3))

    def test_the_oldest_message_gives_the_age(self) -> None:
        """The age is in seconds. It grows while the message waits, and is 0 if none waits."""
        layer = self.new_layer("statistics")
        layer.send("queue", {})
        self.outlive(0.1)
        layer.send("queue", {})
        age = layer.channel_statistics("queue")["messages_max_age"]
        self.assertGreaterEqual(age, 0.1)
        self.wait_until(lambda: layer.channel_statistics("queue")["messages_max_age"] > age)
        self.all_messages(layer, "queue")
        self.assertEqual(layer.channel_statistics("queue")["messages_max_age"], 0)

    def test_the_channels_of_a_process_are_counted_together(self) -> None:
        """The messages of all its clients wait in one queue."""
        layer = self.new_layer("statistics")
        for client in "aab":
            layer.send(f"sends.one!{client}", {})
        self.assertEqual(layer.channel_statistics("sends.one!")["messages_pending"], 3)

    def test_flush_sets_all_to_zero(self) -> None:
        """It drops the messages and their counters."""
        layer = self.new_layer("statistics", "flush", capacity=2)
        self.fill(layer, "queue")
        layer.flush()
        self.assertEqual(layer.global_statistics(), {"messages_count": 0, "channel_full_count": 0})
        self.assertEqual(layer.channel_statistics("queue")["messages_count"], 0)

    def test_bad_names_are_refused(self) -> None:
        """They raise ``TypeError``."""
        layer = self.new_layer("statistics")
        for name in ("two words", "", None):
            with self.subTest(name=name), self.assertRaises(TypeError):
                layer.channel_statistics(name)  # type: ignore[arg-type]
