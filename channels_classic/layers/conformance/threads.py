"""Tests of one layer in many threads (specification, section 3)."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

from channels_classic.layers.conformance.harness import Harness
from channels_classic.layers.types import Received


class ThreadTests(Harness):
    """Threads can share a layer. A thread that sends wakes a thread that waits."""

    def test_a_waiting_receive_is_woken(self) -> None:
        """A message to any of its channels wakes it, each time."""
        layer = self.new_layer()
        rounds = 30
        # If so many waits ended by their timeout, the test would take too long.
        time_left = self.deadline()

        def answer() -> None:
            for _ in range(rounds):
                channel, message = self.next_message(layer, "unused", "questions", "unused?x", "unused!")
                self.assertEqual(channel, "questions")
                layer.send("answers!asker", {"to": message["number"]})

        def ask() -> None:
            for number in range(rounds):
                layer.send("questions", {"number": number})
                self.assertEqual(self.next_message(layer, "answers!"), ("answers!asker", {"to": number}))
                time_left()

        self.at_once(answer, ask)

    def test_a_waiting_receive_is_woken_by_a_group(self) -> None:
        """This holds for each kind of member."""
        layer = self.new_layer("groups")
        rounds = 10
        for member in ("sends.one!", "queue", "body?x"):
            layer.group_add("group", member + "a" if member.endswith("!") else member)
        layer.group_add("answers", "answer")
        time_left = self.deadline()

        def answer(receive_on: str) -> None:
            for number in range(rounds):
                _, message = self.next_message(layer, receive_on)
                self.assertEqual(message, {"number": number})
                layer.send_group("answers", {})

        def ask() -> None:
            for number in range(rounds):
                layer.send_group("group", {"number": number})
                for _ in range(3):
                    self.next_message(layer, "answer")
                time_left()

        self.at_once(lambda: answer("sends.one!"), lambda: answer("queue"), lambda: answer("body?x"), ask)

    def test_a_waiting_receive_is_woken_by_what_is_given_back(self) -> None:
        """It wakes the reader like a new message."""
        layer = self.new_layer()
        layer.send("queue", {"number": 0})
        taken = threading.Event()
        time_left = self.deadline()

        def borrow() -> None:
            for number in range(10):
                batch: list[Received] = []
                while not batch and time_left():
                    batch = layer.receive_batch(["queue"], 1, 5)
                self.assertEqual(batch[0].content, {"number": number})
                taken.set()
                layer.give_back(batch)
                self.next_message(layer, "next")

        def take() -> None:
            for number in range(10):
                taken.wait()
                taken.clear()
                self.assertEqual(self.next_message(layer, "queue"), ("queue", {"number": number}))
                layer.send("queue", {"number": number + 1})
                layer.send("next", {})
                time_left()

        self.at_once(borrow, take)

    def test_each_message_is_received_once(self) -> None:
        """Several senders and readers use small channels, with single messages and batches."""
        layer = self.new_layer(capacity=20)
        channels = ["one", "two", "three?x", "four!a", "four!b"]
        receive_on = ["one", "two", "three?x", "four!"]
        per_sender = 100
        time_left = self.deadline()
        received: list[tuple[int, int]] = []

        def sender(who: int) -> Callable[[], None]:
            def send() -> None:
                number = 0
                while number < per_sender and time_left():
                    try:
                        layer.send(channels[number % len(channels)], {"from": who, "number": number})
                        number += 1
                    except layer.ChannelFull:
                        time.sleep(0.001)

            return send

        def batch_sender(who: int) -> Callable[[], None]:
            def send() -> None:
                waiting = [
                    layer.prepare(channels[number % len(channels)], {"from": who, "number": number})
                    for number in range(per_sender)
                ]
                while waiting and time_left():
                    now, later = waiting[:25], waiting[25:]
                    waiting = [now[position] for position in sorted(layer.send_batch(now))] + later

            return send

        def receive() -> None:
            while len(received) < 4 * per_sender and time_left():
                _, message = layer.receive(receive_on)
                if message is not None:
                    received.append((message["from"], message["number"]))

        def receive_batches() -> None:
            while len(received) < 4 * per_sender and time_left():
                for one in layer.receive_batch(receive_on, 7, 0.05):
                    received.append((one.content["from"], one.content["number"]))

        self.at_once(
            sender(0), sender(1), batch_sender(2), batch_sender(3), receive, receive_batches, receive_batches
        )
        # Each message came once, and none is left.
        sent = [(who, number) for who in range(4) for number in range(per_sender)]
        self.assertEqual(Counter(received), Counter(sent))
        self.assertEqual(self.all_messages(layer, *receive_on), [])

    def test_one_reader_sees_the_order_of_each_sender(self) -> None:
        """Other senders do not change it."""
        layer = self.new_layer(capacity=30)
        per_sender = 50
        time_left = self.deadline()

        def sender(who: int) -> Callable[[], list[dict[str, int]]]:
            def send() -> list[dict[str, int]]:
                number = 0
                while number < per_sender and time_left():
                    try:
                        layer.send(f"sends.one!{who}", {"from": who, "number": number})
                        number += 1
                    except layer.ChannelFull:
                        time.sleep(0.001)
                return []

            return send

        def receive() -> list[dict[str, int]]:
            messages: list[dict[str, int]] = []
            while len(messages) < 3 * per_sender and time_left():
                messages += [one.content for one in layer.receive_batch(["sends.one!"], 10, 0.1)]
            return messages

        received = self.at_once(receive, sender(0), sender(1), sender(2))[0]
        for who in range(3):
            numbers = [message["number"] for message in received if message["from"] == who]
            self.assertEqual(numbers, list(range(per_sender)))

    def test_memberships_change_while_others_send(self) -> None:
        """Members that stay miss no message, and get none twice."""
        layer = self.new_layer("groups", capacity=1000)
        for channel in ("sends.one!stays", "queue"):
            layer.group_add("group", channel)

        def come_and_go(who: str) -> None:
            for _ in range(15):
                layer.group_add("group", f"sends.one!{who}")
                layer.group_discard("group", f"sends.one!{who}")

        def send() -> None:
            for number in range(50):
                layer.send_group("group", {"number": number})

        self.at_once(lambda: come_and_go("a"), lambda: come_and_go("b"), send)
        self.assertEqual(sorted(layer.group_channels("group")), ["queue", "sends.one!stays"])
        received = self.all_messages(layer, "sends.one!", "queue")
        for channel in ("sends.one!stays", "queue"):
            numbers = [message["number"] for name, message in received if name == channel]
            self.assertEqual(numbers, list(range(50)), channel)
