"""Tests of turns (``enter_turn``, ``end_of_turn`` and ``suspend_turn``): a client's messages one after another."""

from __future__ import annotations

import random
from collections.abc import Sequence

from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.conformance.harness import Harness
from channels_classic.layers.types import Turn

CLIENT = "sends.one!a"
CHANNEL = "frames"


class OrderingTests(Harness):
    """Messages of a client have their turns in order, and those that come early wait."""

    def enter(
        self, layer: BaseChannelLayer, order: int, client: str = CLIENT, slight: bool = False, token: str = ""
    ) -> bool:
        """Ask for a turn with a message that has its own order."""
        content = {"client": client, "order": order}
        return layer.enter_turn(Turn(client, order, CHANNEL, slight=slight, token=token), content)

    def end(self, layer: BaseChannelLayer, order: int, client: str = CLIENT, last: bool = False) -> None:
        """End a turn."""
        self.assertEqual(layer.send_batch([layer.end_of_turn(client, order, last=last)]), [])

    def orders(self, layer: BaseChannelLayer) -> list[int]:
        """The orders of the messages that have come back to their channel."""
        return [message["order"] for _, message in self.all_messages(layer, CHANNEL)]

    def test_messages_that_come_in_order_run_at_once(self) -> None:
        """Nothing comes back to the channel."""
        layer = self.new_layer("ordering")
        for order in range(5):
            self.assertTrue(self.enter(layer, order))
            self.end(layer, order)
        self.assertEqual(self.orders(layer), [])

    def test_an_early_message_comes_back_when_its_turn_has_come(self) -> None:
        """It comes back unchanged, when the turn that it waits for has ended."""
        layer = self.new_layer("ordering")
        self.assertTrue(self.enter(layer, 0))
        content = {"client": CLIENT, "bytes": b"\x00\xff\n", "text": "é\n", "list": [1, {"a": None}]}
        self.assertFalse(layer.enter_turn(Turn(CLIENT, 1, CHANNEL), content))
        self.assertEqual(self.all_messages(layer, CHANNEL), [])
        self.end(layer, 0)
        self.assertEqual(self.all_messages(layer, CHANNEL), [(CHANNEL, content)])
        self.assertTrue(self.enter(layer, 1))

    def test_only_the_next_message_comes_back(self) -> None:
        """The others keep waiting. Each comes back when the one before it has ended."""
        layer = self.new_layer("ordering")
        for order in (4, 2, 1, 3):
            self.assertFalse(self.enter(layer, order))
        self.assertTrue(self.enter(layer, 0))
        for order in range(4):
            self.assertEqual(self.orders(layer), [])
            self.end(layer, order)
            self.assertEqual(self.orders(layer), [order + 1])
            self.assertTrue(self.enter(layer, order + 1))

    def test_a_message_that_waited_comes_back_to_a_full_channel(self) -> None:
        """The layer has taken it once, so it does not refuse it now."""
        layer = self.new_layer("ordering", capacity=1)
        self.enter(layer, 0)
        self.enter(layer, 1)
        layer.send(CHANNEL, {"order": "of somebody else"})
        self.end(layer, 0)
        self.assertEqual(sorted(map(str, self.orders(layer))), ["1", "of somebody else"])

    def test_each_message_goes_back_to_its_own_channel(self) -> None:
        """The messages of one client come from several channels."""
        layer = self.new_layer("ordering")
        self.enter(layer, 0)
        layer.enter_turn(Turn(CLIENT, 1, "goodbyes"), {"order": 1})
        self.end(layer, 0)
        self.assertEqual(self.all_messages(layer, CHANNEL, "goodbyes"), [("goodbyes", {"order": 1})])

    def test_clients_do_not_wait_for_each_other(self) -> None:
        """This holds for clients of one process and of different processes."""
        layer = self.new_layer("ordering")
        self.assertTrue(self.enter(layer, 0))
        for client in ("sends.one!b", "sends.two!a", "body?x", "plain"):
            self.assertTrue(self.enter(layer, 0, client))
            self.end(layer, 0, client)
            self.assertTrue(self.enter(layer, 1, client))
        self.assertFalse(self.enter(layer, 1))

    def test_a_message_that_comes_twice_is_dropped(self) -> None:
        """This holds while it runs, while it waits, and when it has ended."""
        layer = self.new_layer("ordering")
        self.assertTrue(self.enter(layer, 0))
        self.assertFalse(self.enter(layer, 0))
        for _ in range(3):
            self.assertFalse(self.enter(layer, 1))
        self.end(layer, 0)
        self.assertFalse(self.enter(layer, 0))
        self.assertEqual(self.orders(layer), [1])

    def test_the_end_of_no_turn_does_nothing(self) -> None:
        """An end may come twice, or late, or for a client that nobody knows."""
        layer = self.new_layer("ordering")
        self.end(layer, 0, "sends.one!nobody")
        self.assertTrue(self.enter(layer, 0))
        self.end(layer, 0)
        self.end(layer, 0)
        self.end(layer, 1)
        self.assertTrue(self.enter(layer, 1))
        self.end(layer, 0)
        self.assertFalse(self.enter(layer, 2))
        self.assertEqual(self.orders(layer), [])

    def test_a_suspended_turn_is_kept_for_its_message(self) -> None:
        """Others keep waiting for it, and it can be entered again."""
        layer = self.new_layer("ordering")
        self.assertTrue(self.enter(layer, 0))
        self.assertFalse(self.enter(layer, 1))
        layer.suspend_turn(Turn(CLIENT, 0, CHANNEL))
        self.assertFalse(self.enter(layer, 2))
        self.assertEqual(self.orders(layer), [])
        self.assertTrue(self.enter(layer, 0))
        layer.suspend_turn(Turn(CLIENT, 1, CHANNEL))
        self.assertFalse(self.enter(layer, 0))
        self.end(layer, 0)
        self.assertEqual(self.orders(layer), [1])
        layer.suspend_turn(Turn("sends.one!nobody", 0, CHANNEL))

    def test_a_caller_that_got_no_answer_can_ask_again(self) -> None:
        """It asks with the same token, for as long as the turn lasts. Another copy of the message is dropped."""
        layer = self.new_layer("ordering")
        for order in range(2):
            for _ in range(3):
                self.assertTrue(self.enter(layer, order, token="one"))
                self.assertFalse(self.enter(layer, order, token="two"))
                self.assertFalse(self.enter(layer, order))
            self.end(layer, order)
            self.assertFalse(self.enter(layer, order, token="one"))
        self.assertEqual(self.orders(layer), [])

    def test_a_message_that_asks_twice_waits_once(self) -> None:
        """When the message is back on its channel, only one copy of it runs: the first one."""
        layer = self.new_layer("ordering")
        self.assertTrue(self.enter(layer, 0))
        for _ in range(3):
            self.assertFalse(self.enter(layer, 1, token="one"))
            self.assertFalse(self.enter(layer, 2, token="one"))
        self.end(layer, 0)
        self.assertEqual(self.orders(layer), [1])
        self.assertTrue(self.enter(layer, 1, token="back"))
        self.assertFalse(self.enter(layer, 1, token="one"))
        self.end(layer, 1)
        self.assertEqual(self.orders(layer), [2])
        self.assertTrue(self.enter(layer, 2, token="one"))
        self.assertFalse(self.enter(layer, 2, token="back"))

    def test_a_message_that_asks_twice_in_slight_order_waits_once(self) -> None:
        """A message that needs no turn does not run twice either."""
        layer = self.new_layer("ordering")
        self.assertFalse(self.enter(layer, 1, slight=True, token="one"))
        self.assertFalse(self.enter(layer, 1, slight=True, token="one"))
        self.assertTrue(self.enter(layer, 0, slight=True, token="zero"))
        self.assertTrue(self.enter(layer, 0, slight=True, token="zero"))
        self.end(layer, 0)
        self.assertFalse(self.enter(layer, 1, slight=True, token="one"))
        self.assertEqual(self.orders(layer), [1])
        for token in ("back", "back", "", ""):
            self.assertTrue(self.enter(layer, 1, slight=True, token=token))
            self.assertTrue(self.enter(layer, 2, slight=True, token=token))
        self.assertFalse(self.enter(layer, 1, slight=True, token="one"))

    def test_suspending_a_turn_twice_does_nothing(self) -> None:
        """This holds even if another copy has the turn by then."""
        layer = self.new_layer("ordering")
        self.assertTrue(self.enter(layer, 0, token="one"))
        layer.suspend_turn(Turn(CLIENT, 0, CHANNEL, token="two"))
        self.assertFalse(self.enter(layer, 0, token="two"))
        layer.suspend_turn(Turn(CLIENT, 0, CHANNEL, token="one"))
        layer.suspend_turn(Turn(CLIENT, 0, CHANNEL, token="one"))
        self.assertTrue(self.enter(layer, 0, token="two"))
        layer.suspend_turn(Turn(CLIENT, 0, CHANNEL, token="one"))
        self.assertFalse(self.enter(layer, 0, token="three"))
        self.assertTrue(self.enter(layer, 0, token="two"))

    def test_slight_order_concerns_the_first_message_only(self) -> None:
        """The others wait for its end, come back in order, and may then run at the same time."""
        layer = self.new_layer("ordering")
        for order in (3, 1, 2):
            self.assertFalse(self.enter(layer, order, slight=True))
        self.assertTrue(self.enter(layer, 0, slight=True))
        self.assertFalse(self.enter(layer, 4, slight=True))
        self.assertEqual(self.orders(layer), [])
        self.end(layer, 0)
        self.assertEqual(self.orders(layer), [1, 2, 3, 4])
        for order in (4, 2, 1, 3, 5):
            self.assertTrue(self.enter(layer, order, slight=True))

    def test_strict_order_after_a_slight_first_message(self) -> None:
        """Each message waits in the way that its own consumer asks for."""
        layer = self.new_layer("ordering")
        self.assertTrue(self.enter(layer, 0, slight=True))
        self.assertFalse(self.enter(layer, 2))
        self.assertFalse(self.enter(layer, 1))
        self.assertFalse(self.enter(layer, 3, slight=True))
        self.end(layer, 0)
        self.assertEqual(self.orders(layer), [1, 3])
        self.assertTrue(self.enter(layer, 1))
        self.end(layer, 1)
        self.assertEqual(self.orders(layer), [2])

    def test_ends_of_turns_are_carried_out_behind_the_messages_of_a_batch(self) -> None:
        """A batch can hold both. The positions of the messages count the ends of turns, too."""
        layer = self.new_layer("ordering", capacity=1)
        for client in ("sends.one!a", "sends.one!b"):
            self.enter(layer, 0, client)
            self.enter(layer, 1, client)
        batch = [
            layer.prepare("one", {}),
            layer.end_of_turn("sends.one!a", 0),
            layer.prepare("one", {}),
            layer.prepare("two", {}),
            layer.end_of_turn("sends.one!b", 0),
            layer.prepare("two", {}),
        ]
        refused, received = layer.send_and_receive(batch, [CHANNEL], 10)
        self.assertEqual(refused, [2, 5])
        self.assertEqual(sorted(one.content["client"] for one in received), ["sends.one!a", "sends.one!b"])
        self.assertEqual(len(self.all_messages(layer, "one", "two")), 2)

    def test_an_order_far_ahead_waits(self) -> None:
        """An order may be far ahead: the layer allocates nothing for the gap."""
        layer = self.new_layer("ordering")
        self.assertFalse(self.enter(layer, 2**53 - 2))
        self.assertTrue(self.enter(layer, 0))
        self.end(layer, 0)
        self.assertEqual(self.orders(layer), [])

    def test_a_bad_order_is_refused(self) -> None:
        """The text says what an order has to be."""
        layer = self.new_layer("ordering")
        for order in (-1, 2**53 - 1, 2**80, 1.0, "1", True, None, [1]):
            with self.subTest(order=order):
                with self.assertRaises(ValueError) as caught:
                    layer.enter_turn(Turn(CLIENT, order, CHANNEL), {})  # type: ignore[arg-type]
                self.assertIn(repr(order), str(caught.exception))
        for channel in ("frames?x", "frames!x", "two words"):
            with self.subTest(channel=channel), self.assertRaises(TypeError):
                layer.enter_turn(Turn(CLIENT, 0, channel), {})

    def test_too_many_waiting_messages_are_dropped(self) -> None:
        """The limits are for number and size, for each client on its own."""
        layer = self.new_layer("ordering")
        large = {"bytes": bytes(2**19)}
        for client in ("sends.one!a", "sends.one!b"):
            with self.assertRaises(layer.ChannelFull):
                for order in range(1, 40):
                    self.assertFalse(layer.enter_turn(Turn(client, order, CHANNEL), large))
            self.assertTrue(self.enter(layer, 0, client))
            came_back = 0
            for order in range(40):
                self.end(layer, order, client)
                if not layer.receive([CHANNEL])[0]:
                    break
                came_back += 1
                self.assertTrue(layer.enter_turn(Turn(client, order + 1, CHANNEL), large))
            self.assertGreater(came_back, 5)
            self.assertLess(came_back, 39)

    def test_the_turns_of_a_client_that_has_left_end(self) -> None:
        """Its turns can still end. ``release`` also accepts clients without turns."""
        layer = self.new_layer("ordering")
        self.enter(layer, 0)
        self.enter(layer, 1)
        layer.release([CLIENT, "sends.one!nobody"])
        layer.release([CLIENT])
        self.end(layer, 0)
        self.assertEqual(self.orders(layer), [1])
        self.assertTrue(self.enter(layer, 1))
        self.end(layer, 1, last=True)
        self.assertFalse(self.enter(layer, 1))

    def test_flush_forgets_turns(self) -> None:
        """A client starts again with order 0."""
        layer = self.new_layer("ordering", "flush")
        self.enter(layer, 0)
        self.enter(layer, 1)
        layer.flush()
        self.end(layer, 0)
        self.assertEqual(self.orders(layer), [])
        self.assertTrue(self.enter(layer, 0))

    def test_messages_run_in_order_however_they_arrive(self) -> None:
        """Each of several clients has its messages shuffled in another way."""
        layer = self.new_layer("ordering", capacity=1000)
        for seed in range(8):
            client = f"sends.one!{seed}"
            ran = self.run_all(layer, client, random.Random(seed).sample(range(12), 12), seed)
            self.assertEqual(ran, list(range(12)))

    def run_all(self, layer: BaseChannelLayer, client: str, arrivals: Sequence[int], seed: int) -> list[int]:
        """Do at random what workers do with the arriving messages: take one, or end the turn that runs."""
        dice = random.Random(seed)
        channel = list(arrivals)
        running: list[int] = []
        ran: list[int] = []
        while channel or running:
            if running and (not channel or dice.random() < 0.3):
                self.end(layer, running.pop(), client)
                came_back = self.orders(layer)
                channel[:0] = came_back
                continue
            order = channel.pop(0)
            if self.enter(layer, order, client):
                self.assertEqual(running, [])
                running.append(order)
                ran.append(order)
        return ran

    def test_only_one_of_many_threads_has_the_turn(self) -> None:
        """The first one that asks has it."""
        layer = self.new_layer("ordering")
        for order in range(20):
            answers = self.at_once(*[lambda order=order: self.enter(layer, order) for _ in range(8)])
            self.assertEqual(sum(answers), 1)
            self.end(layer, order)

    def test_turns_are_the_same_for_all_processes(self) -> None:
        """One process enters, another one waits, and a third one ends the turn."""
        one, two, three = self.new_peers(3, "ordering")
        self.assertTrue(self.enter(one, 0))
        self.assertFalse(self.enter(two, 0))
        self.assertFalse(self.enter(two, 1))
        self.end(three, 0)
        self.assertEqual(self.orders(one), [1])
        self.assertTrue(self.enter(three, 1))
