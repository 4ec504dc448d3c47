"""Tests of the batch calls (the docstrings of ``LayerContract``)."""

from __future__ import annotations

from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.conformance.harness import Harness
from channels_classic.layers.types import Delivery


class BatchTests(Harness):
    """Many messages in one call have the effect of as many calls."""

    def numbered(self, layer: BaseChannelLayer, *channels: str) -> list[Delivery]:
        """Make a delivery for each of ``channels``, whose message has its position."""
        return [layer.prepare(channel, {"number": number}) for number, channel in enumerate(channels)]

    def test_a_batch_goes_to_many_channels(self) -> None:
        """The messages keep their order per channel, and none is refused."""
        layer = self.new_layer()
        channels = ["queue", "sends.one!a", "queue", "body?x", "sends.one!b", "sends.one!a", "queue"]
        self.assertEqual(layer.send_batch(self.numbered(layer, *channels)), [])
        received = self.all_messages(layer, "queue", "body?x", "sends.one!")
        for receive_on in ("queue", "body?x", "sends.one!"):
            expected = [
                (channel, {"number": number})
                for number, channel in enumerate(channels)
                if channel.startswith(receive_on)
            ]
            self.assertEqual([one for one in received if one[0].startswith(receive_on)], expected)

    def test_an_empty_batch_does_nothing(self) -> None:
        """This holds for each call that takes a batch."""
        layer = self.new_layer()
        self.assertEqual(layer.send_batch([]), [])
        self.assertEqual(layer.receive_batch([], 10), [])
        self.assertEqual(layer.send_and_receive([], [], 10), ([], []))
        self.assertEqual(layer.send_and_receive([], ["queue"], 10), ([], []))
        layer.give_back([])
        layer.release([])
        layer.pause([])
        layer.resume([])

    def test_the_positions_of_refused_messages_come_back(self) -> None:
        """The messages to other channels arrive."""
        layer = self.new_layer(capacity=2)
        channels = ["full", "queue", "full", "full", "queue", "body?x", "full"]
        self.assertEqual(sorted(layer.send_batch(self.numbered(layer, *channels))), [3, 6])
        self.assertEqual([message["number"] for _, message in self.all_messages(layer, "full")], [0, 2])
        self.assertEqual([message["number"] for _, message in self.all_messages(layer, "queue")], [1, 4])
        self.assertEqual([message["number"] for _, message in self.all_messages(layer, "body?x")], [5])

    def test_a_batch_to_a_full_channel_is_refused_as_a_whole(self) -> None:
        """The next batch is taken when there is room again."""
        layer = self.new_layer(capacity=2)
        self.fill(layer, "queue")
        batch = self.numbered(layer, "queue", "queue")
        self.assertEqual(sorted(layer.send_batch(batch)), [0, 1])
        self.assertEqual(len(self.all_messages(layer, "queue")), 2)
        self.assertEqual(layer.send_batch(batch), [])
        self.assertEqual([message["number"] for _, message in self.all_messages(layer, "queue")], [0, 1])

    def test_refused_messages_that_are_sent_again_keep_their_order(self) -> None:
        """A channel that has refused a message of a batch refuses the later ones, too, even if it has room."""
        layer = self.new_layer(capacity=5)
        deliveries = self.numbered(layer, *["queue"] * 80)

        def send() -> None:
            waiting = deliveries
            time_left = self.deadline()
            while waiting and time_left():
                refused = layer.send_batch(waiting)
                waiting = [waiting[position] for position in sorted(refused)]

        def receive() -> list[int]:
            numbers: list[int] = []
            time_left = self.deadline()
            while len(numbers) < 80 and time_left():
                numbers += [one.content["number"] for one in layer.receive_batch(["queue"], 3, 0.1)]
            return numbers

        _, numbers = self.at_once(send, receive)
        self.assertEqual(numbers, list(range(80)))

    def test_the_clients_of_a_process_are_refused_together(self) -> None:
        """They share the queue of the process."""
        layer = self.new_layer(capacity=3)
        clients = ["sends.one!a", "sends.one!b", "sends.two!a", "sends.one!c", "sends.one!d", "sends.one!a"]
        self.assertEqual(sorted(layer.send_batch(self.numbered(layer, *clients))), [4, 5])
        received = [channel for channel, _ in self.all_messages(layer, "sends.one!", "sends.two!")]
        self.assertEqual(sorted(received), ["sends.one!a", "sends.one!b", "sends.one!c", "sends.two!a"])

    def test_a_batch_holds_messages_to_channels_and_to_groups(self) -> None:
        """Each channel gets its messages in order, whether they were sent to it or to its group."""
        layer = self.new_layer("groups")
        members = ["queue", "sends.one!a", "sends.one!b"]
        for member in members:
            layer.group_add("group", member)
        batch = []
        for number in range(0, 10, 2):
            batch.append(layer.prepare_group("group", {"number": number}))
            batch += [layer.prepare(member, {"number": number + 1}) for member in members]
        self.assertEqual(layer.send_batch(batch), [])
        received = self.all_messages(layer, "queue", "sends.one!")
        for member in members:
            numbers = [message["number"] for channel, message in received if channel == member]
            self.assertEqual(numbers, list(range(10)), member)

    def test_a_full_member_of_a_group_is_no_refusal(self) -> None:
        """The member is skipped, as in ``send_group``. A group without members is skipped, too."""
        layer = self.new_layer("groups", capacity=2)
        layer.group_add("group", "full")
        layer.group_add("group", "queue")
        self.fill(layer, "full")
        batch = [
            layer.prepare_group("nobody", {"number": 0}),
            layer.prepare_group("group", {"number": 1}),
            layer.prepare("full", {"number": 2}),
        ]
        self.assertEqual(layer.send_batch(batch), [2])
        self.assertEqual(self.all_messages(layer, "queue"), [("queue", {"number": 1})])
        self.assertEqual(len(self.all_messages(layer, "full")), 2)

    def test_no_more_is_received_than_asked_for(self) -> None:
        """This holds for one channel and for several. The next call receives the rest."""
        layer = self.new_layer()
        layer.send_batch(self.numbered(layer, *["one", "two?x", "three!a"] * 10))
        receive_on = ["one", "two?x", "three!"]
        received = []
        while batch := layer.receive_batch(receive_on, 4):
            self.assertLessEqual(len(batch), 4)
            received += batch
        self.assertEqual(len(received), 30)
        for channel in ("one", "two?x", "three!a"):
            numbers = [one.content["number"] for one in received if one.channel == channel]
            self.assertEqual(numbers, sorted(numbers), channel)

    def test_a_batch_takes_all_there_is(self) -> None:
        """A call takes as much as it is allowed to, so that few calls are needed."""
        layer = self.new_layer()
        layer.send_batch(self.numbered(layer, *["one", "two?x", "three!a", "one"] * 5))
        self.assertEqual(len(layer.receive_batch(["one", "two?x", "three!"], 20)), 20)

    def test_a_message_to_a_group_counts_once(self) -> None:
        """It is received once per member, however many members share the process."""
        layer = self.new_layer("groups")
        members = [f"sends.one!{client}" for client in "abc"]
        for member in members:
            layer.group_add("group", member)
        layer.send_group("group", {"number": 0})
        layer.send("sends.one!a", {"number": 1})
        batch = layer.receive_batch(["sends.one!"], 1)
        self.assertCountEqual(self.contents(batch), [(member, {"number": 0}) for member in members])
        batch = layer.receive_batch(["sends.one!"], 1)
        self.assertEqual(self.contents(batch), [("sends.one!a", {"number": 1})])

    def test_a_batch_waits_for_its_first_message_only(self) -> None:
        """Without a message it returns nothing after its timeout. With one it does not wait for more."""
        layer = self.new_layer()
        self.assertEqual(layer.receive_batch(["queue", "body?x", "sends!"], 10, 0.05), [])
        layer.send("queue", {"number": 1})
        batch = layer.receive_batch(["queue", "body?x", "sends!"], 10, 3600)
        self.assertEqual(self.contents(batch), [("queue", {"number": 1})])

    def test_sending_and_receiving_in_one_call(self) -> None:
        """The call sends first, and then receives what was just sent without waiting."""
        layer = self.new_layer(capacity=2)
        batch = self.numbered(layer, "queue", "sends.one!a", "queue", "queue", "other")
        refused, received = layer.send_and_receive(batch, ["queue", "sends.one!"], 10)
        self.assertEqual(refused, [3])
        self.assertCountEqual(
            self.contents(received),
            [("queue", {"number": 0}), ("queue", {"number": 2}), ("sends.one!a", {"number": 1})],
        )
        self.assertEqual(layer.send_and_receive([], ["queue"], 10), ([], []))
        refused, received = layer.send_and_receive([], ["other", "queue"], 10)
        self.assertEqual((refused, self.contents(received)), ([], [("other", {"number": 4})]))

    def test_messages_that_are_given_back_come_first(self) -> None:
        """Messages come back in their order, before those that were sent in the meantime."""
        layer = self.new_layer()
        for channel, receive_on in (("queue", "queue"), ("body?x", "body?x"), ("sends.one!a", "sends.one!")):
            with self.subTest(channel=channel):
                layer.send_batch(self.numbered(layer, *[channel] * 6))
                batch = layer.receive_batch([receive_on], 4)
                self.assertEqual(len(batch), 4)
                layer.send(channel, {"number": 6})
                layer.give_back(batch[1:])
                numbers = [message["number"] for _, message in self.all_messages(layer, receive_on)]
                self.assertEqual(numbers, list(range(1, 7)))

    def test_messages_of_several_channels_can_be_given_back(self) -> None:
        """Each goes back to its own channel. Messages that were not given back stay taken."""
        layer = self.new_layer()
        channels = ["one", "two?x", "three!a", "one", "two?x", "three!b", "one"]
        layer.send_batch(self.numbered(layer, *channels))
        batch = layer.receive_batch(["one", "two?x", "three!"], 100)
        kept = batch[0]
        layer.give_back(batch[1:])
        received = self.all_messages(layer, "one", "two?x", "three!")
        self.assertCountEqual(self.contents([kept]) + received, self.contents(batch))
        for receive_on in ("one", "two?x", "three!"):
            numbers = [message["number"] for channel, message in received if channel.startswith(receive_on)]
            self.assertEqual(numbers, sorted(numbers), receive_on)

    def test_giving_back_needs_no_room(self) -> None:
        """A channel that has become full in the meantime takes its own messages back all the same."""
        layer = self.new_layer(capacity=3)
        self.fill(layer, "queue")
        batch = layer.receive_batch(["queue"], 3)
        self.fill(layer, "queue")
        layer.give_back(batch)
        self.assertEqual(len(self.all_messages(layer, "queue")), 6)

    def test_part_of_a_message_to_a_group_can_be_given_back(self) -> None:
        """It comes again for the members whose copies were given back, and for no others."""
        layer = self.new_layer("groups")
        for client in "abcd":
            layer.group_add("group", f"sends.one!{client}")
        layer.send_group("group", {"number": 0})
        layer.send("sends.one!b", {"number": 1})
        batch = layer.receive_batch(["sends.one!"], 1)
        self.assertEqual(len(batch), 4)
        back = [one for one in batch if one.channel in ("sends.one!b", "sends.one!d")]
        layer.give_back(back)
        received = self.contents(self.all_in_batches(layer, "sends.one!"))
        self.assertCountEqual(received[:2], [("sends.one!b", {"number": 0}), ("sends.one!d", {"number": 0})])
        self.assertEqual(received[2:], [("sends.one!b", {"number": 1})])

    def test_a_message_can_be_given_back_again(self) -> None:
        """A message can be received and given back any number of times."""
        layer = self.new_layer()
        layer.send_batch(self.numbered(layer, "queue", "queue"))
        for _ in range(5):
            batch = layer.receive_batch(["queue"], 10)
            self.assertEqual([one.content["number"] for one in batch], [0, 1])
            layer.give_back(batch)
        self.assertEqual(len(self.all_messages(layer, "queue")), 2)
