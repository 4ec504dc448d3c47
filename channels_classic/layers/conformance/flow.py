"""Tests of clients that leave or read slowly (``release``, ``pause`` and ``resume``)."""

from __future__ import annotations

import asyncio

from channels_classic.layers.conformance.harness import Harness


class FlowTests(Harness):
    """A process can release, pause and resume the process-specific channels that it receives on."""

    def test_release_ends_all_memberships_of_a_channel(self) -> None:
        """They end in every group, and for that channel only."""
        layer = self.new_layer("groups")
        for group in ("group", "other"):
            for channel in ("sends.one!a", "sends.one!b", "sends.two!a", "queue"):
                layer.group_add(group, channel)
        self.assertEqual(self.all_messages(layer, "sends.one!", "sends.two!"), [])
        layer.release(["sends.one!a"])
        for group in ("group", "other"):
            with self.subTest(group=group):
                self.assertEqual(sorted(layer.group_channels(group)), ["queue", "sends.one!b", "sends.two!a"])
                layer.send_group(group, {})
                received = self.all_messages(layer, "queue", "sends.one!", "sends.two!")
                self.assertEqual(
                    sorted(channel for channel, _ in received), ["queue", "sends.one!b", "sends.two!a"]
                )

    def test_release_of_the_last_member_leaves_an_empty_group(self) -> None:
        """One call can release several channels, even channels without memberships."""
        layer = self.new_layer("groups")
        channels = [f"sends.one!{client}" for client in "abc"]
        for channel in channels:
            layer.group_add("group", channel)
        self.assertEqual(self.all_messages(layer, "sends.one!"), [])
        layer.release([*channels, "sends.one!no.member"])
        layer.release(channels)
        self.assertEqual(layer.group_channels("group"), [])
        layer.send_group("group", {})
        self.assertEqual(self.all_messages(layer, "sends.one!"), [])

    def test_a_released_channel_can_join_again(self) -> None:
        """Release ends memberships, and does not block the name."""
        layer = self.new_layer("groups")
        for _ in range(2):
            layer.group_add("group", "sends.one!a")
            layer.send_group("group", {})
            self.assertEqual(self.all_messages(layer, "sends.one!"), [("sends.one!a", {})])
            layer.release(["sends.one!a"])
            self.assertEqual(layer.group_channels("group"), [])

    def test_a_paused_channel_refuses(self) -> None:
        """It refuses messages as if it were full. Other clients of the process do not."""
        layer = self.new_layer()
        layer.send("sends.one!a", {"number": 1})
        layer.pause(["sends.one!a"])
        with self.assertRaises(layer.ChannelFull):
            layer.send("sends.one!a", {"number": "refused"})
        layer.send("sends.one!b", {"number": 2})
        batch = [layer.prepare(f"sends.one!{client}", {"number": 3}) for client in "abab"]
        self.assertEqual(sorted(layer.send_batch(batch)), [0, 2])
        received = [(channel, message["number"]) for channel, message in self.all_messages(layer, "sends.one!")]
        expected = [("sends.one!a", 1), ("sends.one!b", 2), ("sends.one!b", 3), ("sends.one!b", 3)]
        self.assertEqual(received, expected)

    def test_a_resumed_channel_takes_messages_again(self) -> None:
        """One call resumes it, however often it was paused. Other paused channels stay paused."""
        layer = self.new_layer()
        layer.pause(["sends.one!a", "sends.one!b"])
        layer.pause(["sends.one!a"])
        layer.resume(["sends.one!a", "sends.one!never.paused"])
        layer.send("sends.one!a", {})
        with self.assertRaises(layer.ChannelFull):
            layer.send("sends.one!b", {})
        layer.resume(["sends.one!b"])
        layer.send("sends.one!b", {})
        received = [channel for channel, _ in self.all_messages(layer, "sends.one!")]
        self.assertEqual(received, ["sends.one!a", "sends.one!b"])

    def test_a_paused_member_holds_up_no_other(self) -> None:
        """A message to a group skips a paused member."""
        layer = self.new_layer("groups")
        for client in "abc":
            layer.group_add("group", f"sends.one!{client}")
        layer.pause(["sends.one!b"])
        layer.send_group("group", {})
        received = {channel for channel, _ in self.all_messages(layer, "sends.one!")}
        self.assertLessEqual({"sends.one!a", "sends.one!c"}, received)

    def test_flow_control_from_an_event_loop(self) -> None:
        """``arelease``, ``apause`` and ``aresume`` have the same effects."""
        layer = self.new_layer("groups")

        async def main() -> None:
            for client in "ab":
                await asyncio.to_thread(layer.group_add, "group", f"sends.one!{client}")
            self.assertEqual(await layer.areceive_batch(["sends.one!"], 10, 0), [])
            await layer.arelease(["sends.one!a"])
            self.assertEqual(await asyncio.to_thread(layer.group_channels, "group"), ["sends.one!b"])
            await layer.apause(["sends.one!a"])
            batch = [layer.prepare(f"sends.one!{client}", {"to": client}) for client in "ab"]
            self.assertEqual(await layer.asend_batch(batch), [0])
            await layer.aresume(["sends.one!a"])
            self.assertEqual(await layer.asend_batch(batch[:1]), [])
            received = await layer.areceive_batch(["sends.one!"], 10, 0)
            expected = [("sends.one!b", {"to": "b"}), ("sends.one!a", {"to": "a"})]
            self.assertEqual(self.contents(received), expected)

        self.in_event_loop(layer, main())
