"""Tests of in-flight messages, which the layer keeps until their taker is done (``LayerContract``)."""

from __future__ import annotations

from functools import partial

from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.conformance.harness import Harness
from channels_classic.layers.takers import Taker
from channels_classic.layers.tracking import Progress
from channels_classic.layers.types import Delivery, Process, Swept, Turn


class TakerHarness(Harness):
    """The shared part of the tests of processes."""

    def new_taker(self, layer: BaseChannelLayer, process: str = "worker.one", number: int = 0) -> Taker:
        """Make a taker of a process that has sent a heartbeat."""
        layer.beat(Process(process, {"kind": "worker", "threads": 2}))
        taker = layer.taker(process, number)
        if taker is None:
            self.fail(f"{type(layer).__name__} has the extension 'processes', and makes no taker.")
        return taker

    def swept(self, layer: BaseChannelLayer, started: int | None = 0, taker: Taker | None = None) -> Swept:
        """Sweep ``worker.one``, which had started ``started`` messages of the last batch of ``taker``."""
        counts = None if started is None else {taker.name: Progress(taker.batch, started)} if taker else {}
        swept = layer.sweep(Process("worker.one", {"threads": 2}), lambda process: counts)
        assert swept is not None
        return swept

    def send_numbers(self, layer: BaseChannelLayer, channel: str, *numbers: int) -> None:
        """Send a message for each number."""
        self.assertEqual(layer.send_batch([layer.prepare(channel, {"number": number}) for number in numbers]), [])

    def numbers(self, layer: BaseChannelLayer, channel: str) -> list[int]:
        """Receive the numbers that a channel holds."""
        return [message["number"] for _, message in self.all_messages(layer, channel)]


class InFlightTests(TakerHarness):
    """No message of a taker is lost, and none comes twice."""

    def test_a_taker_receives_as_others_do(self) -> None:
        """It gets each message once, in order, and no more than it asked for."""
        layer = self.new_layer("processes")
        taker = self.new_taker(layer)
        self.send_numbers(layer, "queue", *range(5))
        first = layer.receive_batch(["queue"], 3, taker=taker)
        second = layer.receive_batch(["queue", "other"], 3, taker=taker)
        self.assertEqual([one.content["number"] for one in first + second], [0, 1, 2, 3, 4])
        self.assertEqual([one.deliveries for one in first + second], [1] * 5)
        self.assertEqual(layer.receive_batch(["queue"], 3, taker=taker), [])

    def test_messages_that_were_not_started_go_back_in_order(self) -> None:
        """It comes before what was sent since."""
        layer = self.new_layer("processes")
        taker = self.new_taker(layer)
        self.send_numbers(layer, "one", 1, 2, 3)
        self.send_numbers(layer, "two", 4, 5)
        self.assertEqual(len(layer.receive_batch(["one", "two"], 10, taker=taker)), 5)
        self.send_numbers(layer, "one", 6)
        swept = self.swept(layer)
        self.assertEqual((swept.back, swept.again, swept.lost), (5, 0, []))
        self.assertEqual(self.numbers(layer, "one"), [1, 2, 3, 6])
        self.assertEqual(self.numbers(layer, "two"), [4, 5])

    def test_receiving_again_ends_the_last_batch(self) -> None:
        """With its next round trip a taker acknowledges its last batch."""
        layer = self.new_layer("processes")
        taker = self.new_taker(layer)
        self.send_numbers(layer, "queue", 1, 2)
        layer.receive_batch(["queue"], 1, taker=taker)
        layer.receive_batch(["queue"], 1, taker=taker)
        self.assertEqual(self.swept(layer).back, 1)
        self.assertEqual(self.numbers(layer, "queue"), [2])

    def test_a_taker_that_waits_has_ended_its_batch(self) -> None:
        """Nothing is in-flight while it waits in vain, and afterwards."""
        layer = self.new_layer("processes")
        taker = self.new_taker(layer)
        self.send_numbers(layer, "queue", 1)
        layer.receive_batch(["queue"], 1, taker=taker)
        self.assertEqual(layer.receive_batch(["queue"], 1, 0.05, taker), [])
        self.assertEqual(self.swept(layer), Swept(0, 0, 0, [], 0))

    def test_a_batch_whose_answer_was_lost_comes_again(self) -> None:
        """The next round trip of the taker shows that its batch got lost, so it gets the same messages."""
        layer = self.new_layer("processes")
        taker = self.new_taker(layer)
        self.send_numbers(layer, "queue", 1, 2, 3)
        layer.receive_batch(["queue"], 1, taker=taker)
        seen = taker.batch
        layer.receive_batch(["queue"], 1, taker=taker)
        self.lose_answer(taker, seen)
        received = layer.receive_batch(["queue"], 10, taker=taker)
        self.assertEqual([one.content["number"] for one in received], [2, 3])

    def lose_answer(self, taker: Taker, seen: int) -> None:
        """Make a taker believe that no batch after ``seen`` has arrived."""
        taker.batch = seen
        taker.seen = dict.fromkeys(taker.seen, seen)

    def test_sending_and_receiving_in_one_trip(self) -> None:
        """One call can receive what it has sent."""
        layer = self.new_layer("processes")
        taker = self.new_taker(layer)
        full, received = layer.send_and_receive([layer.prepare("queue", {"number": 1})], ["queue"], 5, 5, taker)
        self.assertEqual((full, [one.content["number"] for one in received]), ([], [1]))

    def test_sending_alone_is_not_the_end_of_a_batch(self) -> None:
        """A call without channels leaves the batch in-flight."""
        layer = self.new_layer("processes")
        taker = self.new_taker(layer)
        self.send_numbers(layer, "queue", 1)
        layer.receive_batch(["queue"], 1, taker=taker)
        self.assertEqual(layer.send_and_receive([layer.prepare("other", {})], [], 0, taker=taker), ([], []))
        self.assertEqual(self.swept(layer).back, 1)

    def test_a_message_that_is_given_back_is_no_longer_in_flight(self) -> None:
        """The rest of the batch still is in-flight."""
        layer = self.new_layer("processes")
        taker = self.new_taker(layer)
        self.send_numbers(layer, "queue", 1, 2, 3)
        batch = layer.receive_batch(["queue"], 3, taker=taker)
        layer.give_back(batch[1:], taker)
        self.assertEqual(self.numbers(layer, "queue"), [2, 3])
        swept = self.swept(layer, 1, taker)
        self.assertEqual((swept.back, [lost.content for lost in swept.lost]), (0, [{"number": 1}]))
        self.assertEqual(self.numbers(layer, "queue"), [])

    def test_takers_of_one_process_are_independent(self) -> None:
        """One is done with its batch, and the other is not."""
        layer = self.new_layer("processes")
        one, two = self.new_taker(layer), self.new_taker(layer, number=1)
        self.send_numbers(layer, "queue", 1, 2)
        layer.receive_batch(["queue"], 1, taker=one)
        layer.receive_batch(["queue"], 1, taker=two)
        layer.receive_batch(["queue"], 1, taker=one)
        self.swept(layer)
        self.assertEqual(self.numbers(layer, "queue"), [2])

    def test_a_taker_that_waits_is_woken(self) -> None:
        """Every call that puts a message into its channel wakes it."""
        layer = self.new_layer("processes", "groups")
        taker = self.new_taker(layer)
        layer.group_add("group", "queue")
        held = self.new_taker(layer, "worker.two")

        numbers: list[int] = []

        def wait() -> None:
            received = layer.receive_batch(["other", "queue"], 5, self.patience(), taker)
            numbers.extend(one.content["number"] for one in received)

        def sweep() -> None:
            layer.sweep(Process("worker.two", {}), lambda process: {})

        self.at_once(wait, lambda: layer.send("queue", {"number": 1}))
        self.at_once(wait, lambda: layer.send_group("group", {"number": 2}))
        self.send_numbers(layer, "queue", 3)
        received = layer.receive_batch(["queue"], 1, taker=held)
        self.at_once(wait, lambda: layer.give_back(received, held))
        self.send_numbers(layer, "queue", 4)
        layer.receive_batch(["queue"], 1, taker=held)
        self.at_once(wait, sweep)
        self.assertEqual(numbers, [1, 2, 3, 4])

    def patience(self) -> float:
        """Seconds to wait for something that must come."""
        return 20.0

    def test_as_many_takers_wake_up_as_are_needed(self) -> None:
        """Several takers wait, and each gets one of as many messages."""
        layer = self.new_layer("processes")
        takers = [self.new_taker(layer, number=number) for number in range(4)]

        counts: list[int] = []

        def wait(taker: Taker) -> None:
            counts.append(len(layer.receive_batch(["queue"], 1, self.patience(), taker)))

        waiting = [partial(wait, taker) for taker in takers]
        self.at_once(*waiting, lambda: self.send_numbers(layer, "queue", 1, 2, 3, 4))
        self.assertEqual(counts, [1, 1, 1, 1])

    def test_readers_without_a_taker_share_a_channel_with_takers(self) -> None:
        """No message goes to both, and a taker is woken for what is left."""
        layer = self.new_layer("processes")
        taker = self.new_taker(layer)
        self.send_numbers(layer, "queue", 1, 2, 3)
        self.assertEqual(layer.receive(["queue"]), ("queue", {"number": 1}))
        received = layer.receive_batch(["queue"], 1, self.patience(), taker)
        self.assertEqual([one.content["number"] for one in received], [2])
        self.assertEqual(self.numbers(layer, "queue"), [3])

    def test_a_taker_also_receives_on_the_channels_of_its_process(self) -> None:
        """These messages are not in-flight, because they end with the process."""
        layer = self.new_layer("processes")
        taker = self.new_taker(layer)
        layer.send("worker.one.0!wake", {})
        received = layer.receive_batch(["queue", "worker.one.0!"], 5, self.patience(), taker)
        self.assertEqual([one.channel for one in received], ["worker.one.0!wake"])
        self.assertEqual(self.swept(layer).back, 0)

    def test_the_end_of_a_turn_waits_for_what_was_refused(self) -> None:
        """With a taker it is returned as refused, and the call does not wait."""
        layer = self.new_layer("processes", "ordering", capacity=1)
        taker = self.new_taker(layer)
        self.assertTrue(layer.enter_turn(Turn("sends.one!a", 0, "frames"), {}))
        self.fill(layer, "full")
        end = layer.end_of_turn("sends.one!a", 0)
        batch: list[Delivery] = [layer.prepare("queue", {}), layer.prepare("full", {}), end]
        full, _ = layer.send_and_receive(batch, ["nothing"], 5, self.patience(), taker)
        self.assertEqual(full, [1, 2])
        self.assertFalse(layer.enter_turn(Turn("sends.one!a", 1, "frames"), {}))
        self.all_messages(layer, "full", "queue")
        full, received = layer.send_and_receive(batch, ["frames"], 5, self.patience(), taker)
        self.assertEqual((full, [one.channel for one in received]), ([], ["frames"]))
