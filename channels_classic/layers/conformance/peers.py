"""Tests of several processes on one server. They are skipped for layers that work inside one process only."""

from __future__ import annotations

from channels_classic.layers.conformance.harness import Harness


class PeerTests(Harness):
    """One process receives what another sends. Groups and limits hold for all of them."""

    def test_one_process_receives_what_another_sends(self) -> None:
        """This holds for every kind of channel, in both directions, in order."""
        one, two = self.new_peers(2)
        for sender, receiver in ((one, two), (two, one)):
            for channel, receive_on in (("queue", "queue"), ("body?x", "body?x"), ("sends.one!a", "sends.one!")):
                with self.subTest(channel=channel):
                    for number in range(5):
                        sender.send(channel, {"number": number})
                    expected = [(channel, {"number": number}) for number in range(5)]
                    self.assertEqual(self.all_messages(receiver, receive_on), expected)

    def test_a_waiting_receive_is_woken(self) -> None:
        """A message from another process wakes it, in both directions."""
        one, two = self.new_peers(2)
        rounds = 30
        time_left = self.deadline()

        def answer() -> None:
            for _ in range(rounds):
                _, message = self.next_message(two, "questions")
                two.send("answers!asker", message)

        def ask() -> None:
            for number in range(rounds):
                one.send("questions", {"number": number})
                self.assertEqual(self.next_message(one, "answers!"), ("answers!asker", {"number": number}))
                time_left()

        self.at_once(answer, ask)

    def test_each_message_goes_to_one_reader(self) -> None:
        """Several processes may read the channel."""
        sender, *readers = self.new_peers(3, capacity=10)
        received: list[int] = []
        time_left = self.deadline()

        def send() -> None:
            number = 0
            while number < 100 and time_left():
                refused = sender.send_batch([sender.prepare("queue", {"number": number})])
                number += not refused

        def read(position: int) -> None:
            while len(received) < 100 and time_left():
                for one in readers[position].receive_batch(["queue"], 3, 0.05):
                    received.append(one.content["number"])

        self.at_once(send, lambda: read(0), lambda: read(1))
        self.assertEqual(sorted(received), list(range(100)))

    def test_all_processes_share_the_capacity(self) -> None:
        """All senders together fill a channel."""
        one, two = self.new_peers(2, capacity=3)
        one.send("queue", {})
        two.send("queue", {})
        one.send("queue", {})
        for sender in (one, two):
            with self.assertRaises(sender.ChannelFull):
                sender.send("queue", {})

    def test_names_are_unique_among_all(self) -> None:
        """Two processes never make the same name."""
        layers = self.new_peers(2)
        names = {layer.new_channel("body?") for layer in layers for _ in range(100)}
        self.assertEqual(len(names), 200)

    def test_groups_reach_members_in_all_processes(self) -> None:
        """One process adds members, another sends, and each member's process receives its messages."""
        worker, other_worker, interface, other_interface = self.new_peers(4, "groups")
        members = ["sends.one!a", "sends.one!b", "sends.two!a", "queue"]
        for member in members:
            worker.group_add("group", member)
        for layer in (worker, other_worker, interface, other_interface):
            self.assertEqual(sorted(layer.group_channels("group")), sorted(members))
        for number in range(3):
            other_worker.send_group("group", {"number": number})
        for layer, receive_on, own in (
            (interface, "sends.one!", ["sends.one!a", "sends.one!b"]),
            (other_interface, "sends.two!", ["sends.two!a"]),
            (worker, "queue", ["queue"]),
        ):
            received = self.all_messages(layer, receive_on)
            for member in own:
                numbers = [message["number"] for channel, message in received if channel == member]
                self.assertEqual(numbers, [0, 1, 2], member)
            self.assertEqual(len(received), 3 * len(own))

    def test_members_come_and_go_in_order_with_messages(self) -> None:
        """Changes and messages of one process reach the process of the member in their order."""
        worker, other_worker, interface = self.new_peers(3, "groups")
        for number in range(10):
            worker.group_add("group", "sends.one!a")
            other_worker.send_group("group", {"number": number})
            worker.send("sends.one!a", {"number": -number})
            other_worker.group_discard("group", "sends.one!a")
            worker.send_group("group", {"number": "to nobody"})
        received = [message["number"] for _, message in self.all_messages(interface, "sends.one!")]
        self.assertEqual(received, [sign * number for number in range(10) for sign in (1, -1)])

    def test_a_paused_channel_refuses_all_processes(self) -> None:
        """It does so until its own process resumes it."""
        interface, worker, other_worker = self.new_peers(3)
        interface.pause(["sends.one!a"])
        for layer in (worker, other_worker):
            with self.assertRaises(layer.ChannelFull):
                layer.send("sends.one!a", {})
            layer.send("sends.one!b", {})
        interface.resume(["sends.one!a"])
        worker.send("sends.one!a", {})
        received = [channel for channel, _ in self.all_messages(interface, "sends.one!")]
        self.assertEqual(received, ["sends.one!b", "sends.one!b", "sends.one!a"])

    def test_a_released_channel_has_left_its_groups_for_all(self) -> None:
        """This holds whichever process added it."""
        interface, worker, other_worker = self.new_peers(3, "groups")
        for client in "ab":
            worker.group_add("group", f"sends.one!{client}")
        self.assertEqual(self.all_messages(interface, "sends.one!"), [])
        interface.release(["sends.one!a"])
        self.assertEqual(other_worker.group_channels("group"), ["sends.one!b"])
        other_worker.send_group("group", {})
        self.assertEqual(self.all_messages(interface, "sends.one!"), [("sends.one!b", {})])

    def test_a_flush_holds_for_all_processes(self) -> None:
        """Messages are gone, and so are members that another process already knew."""
        interface, worker, other_worker = self.new_peers(3, "groups", "flush")
        worker.group_add("group", "sends.one!a")
        worker.send_group("group", {})
        self.assertEqual(self.all_messages(interface, "sends.one!"), [("sends.one!a", {})])
        worker.send("sends.one!a", {"before": "flush"})
        worker.send("queue", {"before": "flush"})
        other_worker.flush()
        worker.send_group("group", {"to": "nobody"})
        self.assertEqual(self.all_messages(interface, "sends.one!", "queue"), [])
        worker.group_add("group", "sends.one!b")
        worker.send_group("group", {"after": "flush"})
        self.assertEqual(self.all_messages(interface, "sends.one!"), [("sends.one!b", {"after": "flush"})])

    def test_former_members_of_a_flushed_group_stay_out(self) -> None:
        """If the group gets new members, its former ones do not come back."""
        interface, worker, other_worker = self.new_peers(3, "groups", "flush")
        for client in "ab":
            worker.group_add("group", f"sends.one!{client}")
        self.assertEqual(self.all_messages(interface, "sends.one!"), [])
        other_worker.flush()
        worker.group_add("group", "sends.one!b")
        self.assertEqual(other_worker.group_channels("group"), ["sends.one!b"])
        other_worker.send_group("group", {})
        self.assertEqual(self.all_messages(interface, "sends.one!"), [("sends.one!b", {})])

    def test_one_process_receives_what_another_gives_back(self) -> None:
        """It comes before what was sent since."""
        one, two = self.new_peers(2)
        for number in range(4):
            one.send("queue", {"number": number})
        batch = one.receive_batch(["queue"], 3)
        one.give_back(batch[1:])
        numbers = [message["number"] for _, message in self.all_messages(two, "queue")]
        self.assertEqual(numbers, [1, 2, 3])

    def test_closing_one_layer_leaves_the_others_open(self) -> None:
        """What it has sent stays."""
        one, two = self.new_peers(2)
        one.send("queue", {"by": "one"})
        one.close()
        self.assertEqual(two.receive(["queue"]), ("queue", {"by": "one"}))
