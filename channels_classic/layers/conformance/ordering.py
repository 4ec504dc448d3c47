"""Turns: the messages of a client one after another (``enter_turn``, ``end_of_turn`` and ``suspend_turn``)."""

from __future__ import annotations

import random
from collections.abc import Sequence

from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.conformance.harness import Harness
from channels_classic.layers.types import Turn

CLIENT = "sends.one!a"
CHANNEL = "frames"


class OrderingTests(Harness):
    """Whose turn it is, which messages wait, and what becomes of them."""

    def enter(
        self, layer: BaseChannelLayer, order: int, client: str = CLIENT, slight: bool = False, token: str = ""
    ) -> bool:
        """Ask for a turn with a message that says what it is."""
        content = {"client": client, "order": order}
        return layer.enter_turn(Turn(client, order, CHANNEL, slight=slight, token=token), content)

    def end(self, layer: BaseChannelLayer, order: int, client: str = CLIENT, last: bool = False) -> None:
        """End a turn."""
        self.assertEqual(layer.send_batch([layer.end_of_turn(client, order, last=last)]), [])

    def orders(self, layer: BaseChannelLayer) -> list[int]:
        """The messages that have come back to their channel."""
        return [message["order"] for _, message in self.all_messages(layer, CHANNEL)]

    def test_turns_that_come_in_order_are_had_at_once(self) -> None:
        """And nothing comes back to the channel."""
        layer = self.new_layer("ordering")
        for order in range(5):
            self.assertTrue(self.enter(layer, order))
            self.end(layer, order)
        self.assertEqual(self.orders(layer), [])

    def test_an_early_message_comes_back_when_its_turn_has_come(self) -> None:
        """Not before the turn that it waits for has ended, and as it was."""
        layer = self.new_layer("ordering")
        self.assertTrue(self.enter(layer, 0))
        content = {"client": CLIENT, "bytes": b"\x00\xff\n", "text": "é\n", "list": [1, {"a": None}]}
        self.assertFalse(layer.enter_turn(Turn(CLIENT, 1, CHANNEL), content))
        self.assertEqual(self.all_messages(layer, CHANNEL), [])
        self.end(layer, 0)
        self.assertEqual(self.all_messages(layer, CHANNEL), [(CHANNEL, content)])
        self.assertTrue(self.enter(layer, 1))

    def test_only_the_next_message_comes_back(self) -> None:
        """The others wait on, and each comes back when the one before it has ended."""
        layer = self.new_layer("ordering")
        for order in (4, 2, 1, 3):
            self.assertFalse(self.enter(layer, order))
        self.assertTrue(self.enter(layer, 0))
        for order in range(4):
            self.assertEqual(self.orders(layer), [])
            self.end(layer, order)
            self.assertEqual(self.orders(layer), [order + 1])
            self.assertTrue(self.enter(layer, order + 1))

    def test_what_comes_back_finds_room_in_a_full_channel(self) -> None:
        """It was taken once, so it is not refused now."""
        layer = self.new_layer("ordering", capacity=1)
        self.enter(layer, 0)
        self.enter(layer, 1)
        layer.send(CHANNEL, {"order": "of somebody else"})
        self.end(layer, 0)
        self.assertEqual(sorted(map(str, self.orders(layer))), ["1", "of somebody else"])

    def test_each_message_goes_back_to_its_own_channel(self) -> None:
        """A client's messages come over several."""
        layer = self.new_layer("ordering")
        self.enter(layer, 0)
        layer.enter_turn(Turn(CLIENT, 1, "goodbyes"), {"order": 1})
        self.end(layer, 0)
        self.assertEqual(self.all_messages(layer, CHANNEL, "goodbyes"), [("goodbyes", {"order": 1})])

    def test_clients_do_not_wait_for_each_other(self) -> None:
        """Not those of one process, nor those of different ones."""
        layer = self.new_layer("ordering")
        self.assertTrue(self.enter(layer, 0))
        for client in ("sends.one!b", "sends.two!a", "body?x", "plain"):
            self.assertTrue(self.enter(layer, 0, client))
            self.end(layer, 0, client)
            self.assertTrue(self.enter(layer, 1, client))
        self.assertFalse(self.enter(layer, 1))

    def test_a_message_that_comes_twice_is_dropped(self) -> None:
        """While it runs, while it waits, and when it has ended."""
        layer = self.new_layer("ordering")
        self.assertTrue(self.enter(layer, 0))
        self.assertFalse(self.enter(layer, 0))
        for _ in range(3):
            self.assertFalse(self.enter(layer, 1))
        self.end(layer, 0)
        self.assertFalse(self.enter(layer, 0))
        self.assertEqual(self.orders(layer), [1])

    def test_the_end_of_a_turn_that_is_none_does_nothing(self) -> None:
        """It may come twice, or late, or for a client that nobody knows."""
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
        """Others wait for it on, and it may be entered again."""
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

    def test_who_had_no_answer_may_ask_again(self) -> None:
        """With the same token, for as long as the turn lasts; another copy of the message is dropped."""
        layer = self.new_layer("ordering")
        for order in range(2):
            for _ in range(3):
                self.assertTrue(self.enter(layer, order, token="one"))
                self.assertFalse(self.enter(layer, order, token="two"))
                self.assertFalse(self.enter(layer, order))
            self.end(layer, order)
            self.assertFalse(self.enter(layer, order, token="one"))
        self.assertEqual(self.orders(layer), [])

    def test_who_had_no_answer_waits_once(self) -> None:
        """And when it is back on its channel, only one of the two runs: whoever is first."""
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

    def test_who_had_no_answer_in_slight_order_waits_once(self) -> None:
        """Those that run side by side do not run twice either."""
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

    def test_to_suspend_a_turn_again_does_nothing(self) -> None:
        """Nor to whoever has it by then."""
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

    def test_slight_order_is_about_the_first_message_only(self) -> None:
        """The others wait for its end, come back in order, and then run side by side."""
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
        """Each message waits as its own consumer has it."""
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

    def test_ends_travel_in_a_batch_behind_what_was_sent(self) -> None:
        """Among messages to channels, the positions of which stay what they are."""
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

    def test_a_far_future_waits(self) -> None:
        """However far: nothing is allotted for what lies between."""
        layer = self.new_layer("ordering")
        self.assertFalse(self.enter(layer, 2**53 - 2))
        self.assertTrue(self.enter(layer, 0))
        self.end(layer, 0)
        self.assertEqual(self.orders(layer), [])

    def test_what_is_no_order_is_refused(self) -> None:
        """With a text that says what would be one."""
        layer = self.new_layer("ordering")
        for order in (-1, 2**53 - 1, 2**80, 1.0, "1", True, None, [1]):
            with self.subTest(order=order):
                with self.assertRaises(ValueError) as caught:
                    layer.enter_turn(Turn(CLIENT, order, CHANNEL), {})  # type: ignore[arg-type]
                self.assertIn(repr(order), str(caught.exception))
        for channel in ("frames?x", "frames!x", "two words"):
            with self.subTest(channel=channel), self.assertRaises(TypeError):
                layer.enter_turn(Turn(CLIENT, 0, channel), {})

    def test_too_many_that_wait_are_dropped(self) -> None:
        """In number or size, for each client by itself."""
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

    def test_a_client_that_left_leaves_nothing_that_disturbs(self) -> None:
        """Its turns go on to their end; ``release`` also takes clients that never had any."""
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
        """As it forgets all else."""
        layer = self.new_layer("ordering", "flush")
        self.enter(layer, 0)
        self.enter(layer, 1)
        layer.flush()
        self.end(layer, 0)
        self.assertEqual(self.orders(layer), [])
        self.assertTrue(self.enter(layer, 0))

    def test_any_order_of_arrival_comes_out_right(self) -> None:
        """One client after another, each with its messages shuffled in another way."""
        layer = self.new_layer("ordering", capacity=1000)
        for seed in range(20):
            client = f"sends.one!{seed}"
            ran = self.run_all(layer, client, random.Random(seed).sample(range(12), 12), seed)
            self.assertEqual(ran, list(range(12)))

    def run_all(self, layer: BaseChannelLayer, client: str, arrivals: Sequence[int], seed: int) -> list[int]:
        """What a few workers do with messages that arrive in some order: take one, or end the turn that runs."""
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

    def test_of_many_threads_only_one_has_the_turn(self) -> None:
        """Whoever asks first."""
        layer = self.new_layer("ordering")
        for order in range(20):
            answers = self.at_once(*[lambda order=order: self.enter(layer, order) for _ in range(8)])
            self.assertEqual(sum(answers), 1)
            self.end(layer, order)

    def test_turns_are_the_same_for_all_processes(self) -> None:
        """One enters, another waits, a third ends."""
        one, two, three = self.new_peers(3, "ordering")
        self.assertTrue(self.enter(one, 0))
        self.assertFalse(self.enter(two, 0))
        self.assertFalse(self.enter(two, 1))
        self.end(three, 0)
        self.assertEqual(self.orders(one), [1])
        self.assertTrue(self.enter(three, 1))
