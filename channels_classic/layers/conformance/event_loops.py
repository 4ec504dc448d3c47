"""Tests of the calls for event loops (the docstrings of ``LayerContract``)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.conformance.harness import PATIENCE, Harness
from channels_classic.layers.types import Received


class EventLoopTests(Harness):
    """``asend_batch`` and ``areceive_batch`` work with each other and with the synchronous calls."""

    async def next_batch(self, layer: BaseChannelLayer, *channels: str) -> list[Received]:
        """Wait for the next messages on ``channels``."""
        time_left = self.deadline()
        while time_left():
            if batch := await layer.areceive_batch(channels, 100, PATIENCE):
                return batch
        raise AssertionError  # not reached: time_left fails the test

    def test_messages_go_and_come(self) -> None:
        """They arrive in order within one event loop."""
        layer = self.new_layer()

        async def main() -> None:
            for start in range(0, 50, 10):
                batch = [layer.prepare("sends.one!a", {"number": start + more}) for more in range(10)]
                self.assertEqual(await layer.asend_batch(batch), [])
            received: list[Received] = []
            while len(received) < 50:
                received += await self.next_batch(layer, "sends.one!")
            self.assertEqual([one.content["number"] for one in received], list(range(50)))

        self.in_event_loop(layer, main())

    def test_positions_and_limits_are_those_of_the_other_forms(self) -> None:
        """This is about refused messages, the size of a batch, and the timeout."""
        layer = self.new_layer(capacity=3)

        async def main() -> None:
            batch = [layer.prepare("queue", {"number": number}) for number in range(5)]
            self.assertEqual(sorted(await layer.asend_batch(batch)), [3, 4])
            self.assertEqual(await layer.asend_batch([]), [])
            received = await layer.areceive_batch(["empty", "queue"], 2, PATIENCE)
            self.assertEqual([one.content["number"] for one in received], [0, 1])
            received = await layer.areceive_batch(["queue"], 2, 0)
            self.assertEqual([one.content["number"] for one in received], [2])
            self.assertEqual(await layer.areceive_batch(["queue"], 2, 0), [])
            self.assertEqual(await layer.areceive_batch(["queue", "sends!"], 2, 0.05), [])

        self.in_event_loop(layer, main())

    def test_bad_names_are_refused(self) -> None:
        """Each call raises ``TypeError``."""
        layer = self.new_layer()

        async def main() -> None:
            for name in ("two words", "sends.one!a"):
                with self.subTest(name=name), self.assertRaises(TypeError):
                    await layer.areceive_batch([name], 1, 0)

        self.in_event_loop(layer, main())

    def test_waiting_does_not_hold_up_the_event_loop(self) -> None:
        """While one task waits for a message, another sends it."""
        layer = self.new_layer()

        async def main() -> None:
            for channel, receive_on in (("queue", "queue"), ("body?x", "body?x"), ("sends.one!a", "sends.one!")):
                waiting = asyncio.create_task(self.next_batch(layer, "unused", receive_on))
                await asyncio.sleep(0.02)  # so that it is likely to wait; the test holds if not
                self.assertEqual(await layer.asend_batch([layer.prepare(channel, {"number": 1})]), [])
                self.assertEqual(self.contents(await waiting), [(channel, {"number": 1})])

        self.in_event_loop(layer, main())

    def test_a_waiting_task_is_woken_by_another_thread(self) -> None:
        """A classic call to the channel or to a group wakes it, and so does a message that is given back."""
        layer = self.new_layer("groups")
        layer.group_add("group", "sends.one!a")
        layer.send("sends.one!a", {"by": "give_back"})
        calls: list[Callable[[], None]] = [
            lambda: layer.send("sends.one!a", {"by": "send"}),
            lambda: layer.send_group("group", {"by": "send_group"}),
            lambda: layer.give_back(borrowed),
        ]
        borrowed: list[Received] = []

        async def main() -> None:
            borrowed.extend(await self.next_batch(layer, "sends.one!"))
            for call in calls * 10:
                waiting = asyncio.create_task(self.next_batch(layer, "sends.one!"))
                await asyncio.sleep(0.002)  # so that it is likely to wait; the test holds if not
                await asyncio.to_thread(call)
                self.assertEqual([one.channel for one in await waiting], ["sends.one!a"])

        self.in_event_loop(layer, main())

    def test_a_thread_is_woken_by_an_event_loop(self) -> None:
        """Synchronous readers and asynchronous senders need not know about each other."""
        layer = self.new_layer()

        async def main() -> None:
            for number in range(10):
                waiting = asyncio.create_task(asyncio.to_thread(self.next_message, layer, "queue"))
                await asyncio.sleep(0.002)  # so that it is likely to wait; the test holds if not
                await asyncio.gather(layer.asend_batch([layer.prepare("queue", {"number": number})]))
                self.assertEqual(await waiting, ("queue", {"number": number}))

        self.in_event_loop(layer, main())

    def test_event_loops_in_several_threads_share_a_layer(self) -> None:
        """Each has its own connections, if the layer has connections."""
        layer = self.new_layer()
        rounds = 30

        async def answer() -> None:
            for number in range(rounds):
                batch = await self.next_batch(layer, "questions")
                self.assertEqual(self.contents(batch), [("questions", {"number": number})])
                await layer.asend_batch([layer.prepare("answers!asker", {"to": number})])

        async def ask() -> None:
            for number in range(rounds):
                await layer.asend_batch([layer.prepare("questions", {"number": number})])
                batch = await self.next_batch(layer, "answers!")
                self.assertEqual(self.contents(batch), [("answers!asker", {"to": number})])

        self.at_once(
            lambda: self.in_event_loop(layer, answer()),
            lambda: self.in_event_loop(layer, ask()),
        )

    def test_groups(self) -> None:
        """Threads see the memberships that an event loop makes and ends. Bad names are refused."""
        layer = self.new_layer("groups")

        async def main() -> None:
            for channel in ("sends.one!a", "sends.one!b", "queue"):
                await layer.agroup_add("group", channel)
            await layer.agroup_discard("group", "sends.one!b")
            await layer.agroup_discard("group", "never.one!a")
            await layer.asend_batch([layer.prepare_group("group", {"number": 1})])
            received = await self.next_batch(layer, "sends.one!")
            self.assertEqual(self.contents(received), [("sends.one!a", {"number": 1})])
            for group, channel in (("two words", "queue"), ("group", "two words")):
                with self.assertRaises(TypeError):
                    await layer.agroup_add(group, channel)
                with self.assertRaises(TypeError):
                    await layer.agroup_discard(group, channel)

        self.in_event_loop(layer, main())
        self.assertEqual(sorted(layer.group_channels("group")), ["queue", "sends.one!a"])

    def test_one_event_loop_after_another(self) -> None:
        """A layer outlives the event loops that use it, whether or not ``aclose`` is called in them."""
        layer = self.new_layer()

        async def send_and_receive(number: int) -> None:
            await layer.asend_batch([layer.prepare("queue", {"number": number})])
            batch = await self.next_batch(layer, "queue")
            self.assertEqual(self.contents(batch), [("queue", {"number": number})])

        for number in range(3):
            self.in_event_loop(layer, send_and_receive(number))

    def test_a_cancelled_receive_takes_nothing(self) -> None:
        """A message that is sent after the cancellation is there for the next call."""
        layer = self.new_layer()

        async def main() -> None:
            for round_ in range(10):
                waiting = asyncio.create_task(layer.areceive_batch(["queue", "sends.one!"], 10, PATIENCE))
                # Each one is cancelled at another stage: before it begins, on its way, while it waits.
                await asyncio.sleep(0.003 * round_)
                waiting.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await waiting
                for channel in ("queue", "sends.one!a"):
                    await layer.asend_batch([layer.prepare(channel, {"number": round_})])
                await asyncio.sleep(0.005)  # a receive that still runs would take them now
                received: list[Received] = []
                while len(received) < 2:
                    received += await self.next_batch(layer, "queue", "sends.one!")
                channels = sorted(one.channel for one in received)
                self.assertEqual(channels, ["queue", "sends.one!a"])
                self.assertEqual([one.content for one in received], [{"number": round_}] * 2)

        self.in_event_loop(layer, main())

    def test_nothing_is_lost_when_a_receive_is_cancelled(self) -> None:
        """A message may come before, at or after the cancellation, and there may be a second one."""
        layer = self.new_layer()
        channels = ("queue", "sends.one!a")

        async def main() -> None:
            for round_ in range(20):
                waiting = asyncio.create_task(layer.areceive_batch(["queue", "sends.one!"], 10, PATIENCE))
                await asyncio.sleep(0.001 * (round_ % 2))
                batch = [layer.prepare(channel, {"number": round_}) for channel in channels]
                sending = asyncio.create_task(layer.asend_batch(batch))
                # After each turn of the event loop the message is at another place.
                for _ in range(round_):
                    await asyncio.sleep(0)
                waiting.cancel()
                if round_ % 3 == 0:
                    await asyncio.sleep(0)
                    waiting.cancel()
                try:
                    received = await waiting
                except asyncio.CancelledError:
                    received = []
                self.assertEqual(await sending, [])
                while len(received) < 2:
                    received += await self.next_batch(layer, "queue", "sends.one!")
                self.assertEqual(
                    sorted(self.contents(received), key=str),
                    [(channel, {"number": round_}) for channel in channels],
                )

        self.in_event_loop(layer, main())

    def test_a_cancelled_receive_leaves_the_layer_in_order(self) -> None:
        """Other calls go on waiting, and get their messages."""
        layer = self.new_layer()

        async def main() -> None:
            others = [asyncio.create_task(self.next_batch(layer, f"other.{number}")) for number in range(3)]
            for _ in range(5):
                waiting = asyncio.create_task(layer.areceive_batch(["queue"], 10, PATIENCE))
                await asyncio.sleep(0.005)
                waiting.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await waiting
            for number, other in enumerate(others):
                self.assertFalse(other.done())
                await layer.asend_batch([layer.prepare(f"other.{number}", {"number": number})])
                self.assertEqual(self.contents(await other), [(f"other.{number}", {"number": number})])

        self.in_event_loop(layer, main())

    def test_a_process_receives_on_its_own_channel(self) -> None:
        """Each message comes once and in order, also if there are more than one call may take."""
        layer = self.new_layer("groups")
        layer.group_add("group", "sends.one!b")

        async def main() -> None:
            numbers: list[int] = []
            for start in range(0, 60, 6):
                waiting = asyncio.create_task(layer.areceive_own("sends.one", 4, PATIENCE))
                await asyncio.sleep(0.002)  # so that it is likely to wait; the test holds if not
                batch = [layer.prepare("sends.one!a", {"number": start + more}) for more in range(5)]
                batch.append(layer.prepare_group("group", {"number": start + 5}))
                self.assertEqual(await layer.asend_batch(batch), [])
                numbers += [one.content["number"] for one in await waiting]
            while received := await layer.areceive_own("sends.one", 4, 0):
                numbers += [one.content["number"] for one in received]
            self.assertEqual(numbers, list(range(60)))

        self.in_event_loop(layer, main())

    def test_a_process_that_stops_receiving_loses_nothing(self) -> None:
        """After a cancelled call on its own channel, the next one returns what came meanwhile."""
        layer = self.new_layer()

        async def main() -> None:
            numbers: list[int] = []
            for number in range(30):
                waiting = asyncio.create_task(layer.areceive_own("sends.one", 10, PATIENCE))
                for _ in range(number % 10):
                    await asyncio.sleep(0)
                self.assertEqual(await layer.asend_batch([layer.prepare("sends.one!a", {"number": number})]), [])
                waiting.cancel()
                try:
                    numbers += [one.content["number"] for one in await waiting]
                except asyncio.CancelledError:
                    continue
            while len(numbers) < 30:
                numbers += [one.content["number"] for one in await layer.areceive_own("sends.one", 10, PATIENCE)]
            self.assertEqual(numbers, list(range(30)))

        self.in_event_loop(layer, main())
