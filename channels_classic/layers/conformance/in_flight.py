"""What takers have in-flight: it is kept until they are done with it (the docstrings of ``BaseChannelLayer``)."""

from __future__ import annotations

from functools import partial

from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.conformance.harness import Harness
from channels_classic.layers.takers import Taker
from channels_classic.layers.tracking import Progress
from channels_classic.layers.types import Delivery, Process, Swept, Turn


class TakerHarness(Harness):
    """What the tests of processes share."""

    def new_taker(self, layer: BaseChannelLayer, process: str = "worker.one", number: int = 0) -> Taker:
        """A taker of a process that beats."""
        layer.beat(Process(process, {"kind": "worker", "threads": 2}))
        taker = layer.taker(process, number)
        if taker is None:
            self.fail(f"{type(layer).__name__} has the extension 'processes', and makes no taker.")
        return taker

    def swept(self, layer: BaseChannelLayer, started: int | None = 0, taker: Taker | None = None) -> Swept:
        """Sweep the process ``worker.one``, of which the taker's last batch was started so far."""
        counts = None if started is None else {taker.name: Progress(taker.batch, started)} if taker else {}
        swept = layer.sweep(Process("worker.one", {"threads": 2}), lambda process: counts)
        assert swept is not None
        return swept

    def send_numbers(self, layer: BaseChannelLayer, channel: str, *numbers: int) -> None:
        """A message for each number."""
        self.assertEqual(layer.send_batch([layer.prepare(channel, {"number": number}) for number in numbers]), [])

    def numbers(self, layer: BaseChannelLayer, channel: str) -> list[int]:
        """What a channel holds."""
        return [message["number"] for _, message in self.all_messages(layer, channel)]


class InFlightTests(TakerHarness):
    """Nothing that a taker has is lost, and nothing comes twice."""

    def test_a_taker_receives_as_others_do(self) -> None:
        """In order, no more than asked for, each message once."""
        layer = self.new_layer("processes")
        taker = self.new_taker(layer)
        self.send_numbers(layer, "queue", *range(5))
        first = layer.receive_batch(["queue"], 3, taker=taker)
        second = layer.receive_batch(["queue", "other"], 3, taker=taker)
        self.assertEqual([one.content["number"] for one in first + second], [0, 1, 2, 3, 4])
        self.assertEqual([one.deliveries for one in first + second], [1] * 5)
        self.assertEqual(layer.receive_batch(["queue"], 3, taker=taker), [])

    def test_what_was_not_started_goes_back_in_order(self) -> None:
        """In front of what was sent since."""
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

    def test_what_was_received_before_is_done(self) -> None:
        """With its next trip a taker says that it is done with its last batch."""
        layer = self.new_layer("processes")
        taker = self.new_taker(layer)
        self.send_numbers(layer, "queue", 1, 2)
        layer.receive_batch(["queue"], 1, taker=taker)
        layer.receive_batch(["queue"], 1, taker=taker)
        self.assertEqual(self.swept(layer).back, 1)
        self.assertEqual(self.numbers(layer, "queue"), [2])

    def test_a_taker_that_waits_is_done(self) -> None:
        """Nothing is in-flight while it waits in vain, and after."""
        layer = self.new_layer("processes")
        taker = self.new_taker(layer)
        self.send_numbers(layer, "queue", 1)
        layer.receive_batch(["queue"], 1, taker=taker)
        self.assertEqual(layer.receive_batch(["queue"], 1, 0.05, taker), [])
        self.assertEqual(self.swept(layer), Swept(0, 0, 0, [], 0))

    def test_an_answer_that_never_came(self) -> None:
        """A taker that has not seen its batch says so with its next trip, and receives the same messages."""
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
        """Let a taker have seen no batch after this one."""
        taker.batch = seen
        taker.seen = dict.fromkeys(taker.seen, seen)

    def test_sending_and_receiving_in_one_trip(self) -> None:
        """What is sent can be received by the same call."""
        layer = self.new_layer("processes")
        taker = self.new_taker(layer)
        full, received = layer.send_and_receive([layer.prepare("queue", {"number": 1})], ["queue"], 5, 5, taker)
        self.assertEqual((full, [one.content["number"] for one in received]), ([], [1]))

    def test_sending_alone_is_not_the_end_of_a_batch(self) -> None:
        """A trip that asks for no channels leaves the batch in-flight."""
        layer = self.new_layer("processes")
        taker = self.new_taker(layer)
        self.send_numbers(layer, "queue", 1)
        layer.receive_batch(["queue"], 1, taker=taker)
        self.assertEqual(layer.send_and_receive([layer.prepare("other", {})], [], 0, taker=taker), ([], []))
        self.assertEqual(self.swept(layer).back, 1)

    def test_what_is_given_back_is_in_flight_no_more(self) -> None:
        """The rest of the batch still is."""
        layer = self.new_layer("processes")
        taker = self.new_taker(layer)
        self.send_numbers(layer, "queue", 1, 2, 3)
        batch = layer.receive_batch(["queue"], 3, taker=taker)
        layer.give_back(batch[1:], taker)
        self.assertEqual(self.numbers(layer, "queue"), [2, 3])
        swept = self.swept(layer, 1, taker)
        self.assertEqual((swept.back, [lost.content for lost in swept.lost]), (0, [{"number": 1}]))
        self.assertEqual(self.numbers(layer, "queue"), [])

    def test_takers_of_one_process_are_apart(self) -> None:
        """One is done with its batch, the other is not."""
        layer = self.new_layer("processes")
        one, two = self.new_taker(layer), self.new_taker(layer, number=1)
        self.send_numbers(layer, "queue", 1, 2)
        layer.receive_batch(["queue"], 1, taker=one)
        layer.receive_batch(["queue"], 1, taker=two)
        layer.receive_batch(["queue"], 1, taker=one)
        self.swept(layer)
        self.assertEqual(self.numbers(layer, "queue"), [2])

    def test_a_taker_that_waits_is_woken(self) -> None:
        """By whatever puts a message into its channel."""
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
        """Seconds to wait for what must come."""
        return 20.0

    def test_every_taker_is_woken_that_is_needed(self) -> None:
        """Several wait; as many messages come as they can take one each."""
        layer = self.new_layer("processes")
        takers = [self.new_taker(layer, number=number) for number in range(4)]

        counts: list[int] = []

        def wait(taker: Taker) -> None:
            counts.append(len(layer.receive_batch(["queue"], 1, self.patience(), taker)))

        waiting = [partial(wait, taker) for taker in takers]
        self.at_once(*waiting, lambda: self.send_numbers(layer, "queue", 1, 2, 3, 4))
        self.assertEqual(counts, [1, 1, 1, 1])

    def test_readers_without_a_taker_share_a_channel_with_takers(self) -> None:
        """What the one takes, the other does not see; and a taker is woken for what is left."""
        layer = self.new_layer("processes")
        taker = self.new_taker(layer)
        self.send_numbers(layer, "queue", 1, 2, 3)
        self.assertEqual(layer.receive(["queue"]), ("queue", {"number": 1}))
        received = layer.receive_batch(["queue"], 1, self.patience(), taker)
        self.assertEqual([one.content["number"] for one in received], [2])
        self.assertEqual(self.numbers(layer, "queue"), [3])

    def test_a_taker_receives_on_the_channels_of_its_process_too(self) -> None:
        """They are not in-flight: they end with the process."""
        layer = self.new_layer("processes")
        taker = self.new_taker(layer)
        layer.send("worker.one.0!wake", {})
        received = layer.receive_batch(["queue", "worker.one.0!"], 5, self.patience(), taker)
        self.assertEqual([one.channel for one in received], ["worker.one.0!wake"])
        self.assertEqual(self.swept(layer).back, 0)

    def test_the_end_of_a_turn_waits_for_what_was_refused(self) -> None:
        """With a taker it comes back as refused, and nothing waits meanwhile."""
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
