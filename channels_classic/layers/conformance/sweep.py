"""Tests of what a sweep gives to others, and what it removes (the docstrings of ``ProcessCalls``)."""

from __future__ import annotations

from typing import Any

from channels_classic.layers import codec, names
from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.conformance.in_flight import TakerHarness
from channels_classic.layers.redelivery import GOODBYE_CHANNEL, LOST_GOODBYE_CHANNEL
from channels_classic.layers.takers import Taker
from channels_classic.layers.tracking import Progress
from channels_classic.layers.types import Client, Delivery, Lost, Process, Received, Turn

INTERFACE = Process("interface.one", {"kind": "interface"})


class SweepTests(TakerHarness):
    """A dead process takes nothing along that was promised, and leaves nothing behind."""

    # Workers.

    def take(
        self, layer: BaseChannelLayer, channel: str, *contents: dict[str, Any]
    ) -> tuple[Taker, list[Received]]:
        """Send messages, and let a taker of ``worker.one`` have them in-flight."""
        taker = self.new_taker(layer)
        for content in contents:
            layer.send(channel, content)
        received = layer.receive_batch([channel], len(contents), taker=taker)
        self.assertEqual([one.content for one in received], list(contents))
        return taker, received

    def test_a_started_message_does_not_run_again(self) -> None:
        """It is reported as lost. What was not started goes back."""
        layer = self.new_layer("processes")
        taker, _ = self.take(layer, "queue", {"number": 1}, {"number": 2}, {"number": 3})
        swept = self.swept(layer, 2, taker)
        self.assertEqual(swept.back, 1)
        self.assertEqual(swept.lost, [Lost("queue", {"number": 1}), Lost("queue", {"number": 2})])
        self.assertEqual(self.numbers(layer, "queue"), [3])

    def test_a_message_whose_order_is_none(self) -> None:
        """It has no turn. Nothing in a message stops the sweep."""
        layer = self.new_layer("processes")
        orders: list[Any] = [True, False, -1, 2**53, 1.0, "1", None, [1]]
        contents = [{"reply_channel": "sends.one!a", "order": order, "number": 1} for order in orders]
        taker, _ = self.take(layer, "queue", *contents, {"number": 2})
        swept = self.swept(layer, len(orders), taker)
        self.assertEqual(swept.lost, [Lost("queue", content) for content in contents])
        self.assertEqual(self.numbers(layer, "queue"), [2])

    def test_a_lost_disconnect_goes_where_its_session_is_dropped(self) -> None:
        """Its consumer does not run again. What was not started goes back as it was."""
        layer = self.new_layer("processes")
        contents = [{"reply_channel": f"sends.one!{letter}", "order": 3} for letter in "ab"]
        taker, _ = self.take(layer, GOODBYE_CHANNEL, *contents)
        swept = self.swept(layer, 1, taker)
        self.assertEqual(swept.lost, [Lost(GOODBYE_CHANNEL, contents[0])])
        for channel, content in ((GOODBYE_CHANNEL, contents[1]), (LOST_GOODBYE_CHANNEL, contents[0])):
            self.assertEqual(self.all_messages(layer, channel), [(channel, content)])

    def test_without_a_journal_a_whole_batch_counts_as_started(self) -> None:
        """Nobody knows what was started, so nothing runs twice."""
        layer = self.new_layer("processes")
        self.take(layer, "queue", {"number": 1}, {"number": 2})
        swept = self.swept(layer, None)
        self.assertEqual((swept.back, len(swept.lost)), (0, 2))
        self.assertEqual(self.numbers(layer, "queue"), [])

    def test_a_journal_of_another_batch(self) -> None:
        """The worker died before it had received this batch, so nothing of it was started."""
        layer = self.new_layer("processes")
        taker, _ = self.take(layer, "queue", {"number": 1}, {"number": 2})
        counts = {taker.name: Progress(taker.batch - 1, 2)}
        swept = layer.sweep(Process("worker.one", {}), lambda process: counts)
        assert swept is not None
        self.assertEqual((swept.back, swept.lost), (2, []))
        self.assertEqual(self.numbers(layer, "queue"), [1, 2])

    def test_a_journal_of_a_later_batch(self) -> None:
        """The worker was done with this batch when it began the later one. Nothing of it runs twice."""
        layer = self.new_layer("processes")
        taker, _ = self.take(layer, "queue", {"number": 1}, {"number": 2})
        counts = {taker.name: Progress(taker.batch + 1, 0)}
        swept = layer.sweep(Process("worker.one", {}), lambda process: counts)
        assert swept is not None
        self.assertEqual((swept.back, swept.again, swept.lost), (0, 0, []))
        self.assertEqual(self.numbers(layer, "queue"), [])

    def test_a_message_that_is_done_is_left_alone(self) -> None:
        """Its batch was held for other messages. It is not reported as lost, and does not run again."""
        layer = self.new_layer("processes")
        taker, _ = self.take(layer, "queue", *({"number": number} for number in range(4)))
        counts = {taker.name: Progress(taker.batch, 3, done=0b101)}
        swept = layer.sweep(Process("worker.one", {}), lambda process: counts)
        assert swept is not None
        self.assertEqual((swept.back, swept.lost), (1, [Lost("queue", {"number": 1})]))
        self.assertEqual(self.numbers(layer, "queue"), [3])

    def test_a_process_is_swept_once(self) -> None:
        """A second sweep, or one of a process that has left, finds nothing, and tells nobody of a death."""
        layer = self.new_layer("processes")
        taker, _ = self.take(layer, "queue", {"number": 1})
        self.swept(layer, 0, taker)
        self.assertIsNone(layer.sweep(Process("worker.one", {}), lambda process: {}))
        self.assertEqual(self.numbers(layer, "queue"), [1])
        left = Process("worker.two", {})
        layer.beat(left)
        layer.depart(left)
        self.assertIsNone(layer.sweep(left, lambda process: {}))

    def test_the_client_of_a_lost_request_is_told(self) -> None:
        """It gets 502. A socket that was connecting is refused."""
        layer = self.new_layer("processes")
        taker, _ = self.take(layer, "http.request", {"reply_channel": "interface.one!a", "path": "/"})
        self.swept(layer, 1, taker)
        [(channel, answer)] = self.all_messages(layer, "interface.one!")
        self.assertEqual((channel, answer["status"]), ("interface.one!a", 502))
        taker = self.new_taker(layer, "worker.two")
        layer.send("websocket.connect", {"reply_channel": "interface.one!b", "order": 0})
        layer.receive_batch(["websocket.connect"], 1, taker=taker)
        layer.sweep(Process("worker.two", {}), lambda process: None)
        self.assertEqual(self.all_messages(layer, "interface.one!"), [("interface.one!b", {"close": True})])

    def test_no_answer_for_a_request_that_was_not_started(self) -> None:
        """The request runs elsewhere."""
        layer = self.new_layer("processes")
        self.take(layer, "http.request", {"reply_channel": "interface.one!a"})
        self.swept(layer, 0)
        self.assertEqual(self.all_messages(layer, "interface.one!"), [])

    def test_a_broken_message_does_not_stop_a_sweep(self) -> None:
        """A client may have managed to send anything."""
        layer = self.new_layer("processes", "ordering")
        contents: list[dict[str, Any]] = [
            {"reply_channel": "no channel", "order": -1},
            {"reply_channel": 5, "order": "six"},
            {"reply_channel": "a!b", "order": 2**60},
            {},
        ]
        taker, _ = self.take(layer, "http.request", *contents)
        self.assertEqual([lost.content for lost in self.swept(layer, 4, taker).lost], contents)

    def test_the_turn_of_a_lost_message_is_passed_over(self) -> None:
        """The next message of that client runs at once, whether or not it has already asked for its turn."""
        layer = self.new_layer("processes", "ordering")
        client = "interface.one!a"
        taker, _ = self.take(layer, "frames", {"reply_channel": client, "order": 0})
        self.assertTrue(layer.enter_turn(Turn(client, 0, "frames", token="t"), {"number": 0}))
        self.assertFalse(layer.enter_turn(Turn(client, 1, "frames"), {"number": 1}))
        self.swept(layer, 1, taker)
        self.assertEqual(self.numbers(layer, "frames"), [1])
        self.assertTrue(layer.enter_turn(Turn(client, 1, "frames"), {"number": 1}))

    def test_a_turn_of_a_lost_message_that_has_not_come_yet(self) -> None:
        """The turn is passed over when it comes."""
        layer = self.new_layer("processes", "ordering")
        client = "interface.one!a"
        taker, _ = self.take(layer, "frames", {"reply_channel": client, "order": 1})
        self.assertTrue(layer.enter_turn(Turn(client, 0, "frames"), {"number": 0}))
        self.assertFalse(layer.enter_turn(Turn(client, 2, "frames"), {"number": 2}))
        self.swept(layer, 1, taker)
        self.assertEqual(self.numbers(layer, "frames"), [])
        layer.send_batch([layer.end_of_turn(client, 0)])
        self.assertEqual(self.numbers(layer, "frames"), [2])
        self.assertTrue(layer.enter_turn(Turn(client, 2, "frames"), {"number": 2}))

    def test_the_turn_of_a_lost_first_message(self) -> None:
        """The message had not asked for its turn yet."""
        layer = self.new_layer("processes", "ordering")
        client = "interface.one!a"
        taker, _ = self.take(layer, "frames", {"reply_channel": client, "order": 0})
        self.swept(layer, 1, taker)
        self.assertTrue(layer.enter_turn(Turn(client, 1, "frames"), {"number": 1}))

    # At least once.

    def test_a_message_of_an_at_least_once_channel_runs_again(self) -> None:
        """The keyword or the route asks for it. The message has the number of its deliveries."""
        layer = self.new_layer("processes", at_least_once=["mail.*"])
        taker = self.new_taker(layer)
        for channel in ("mail.out", "routed", "queue"):
            layer.send(channel, {"number": 1})
            self.assertEqual(len(layer.receive_batch([channel], 1, taker=taker)), 1)
            process = Process(taker.process, {"at_least_once": ["routed"]})
            swept = layer.sweep(process, lambda process: None)
            assert swept is not None
            again = 0 if channel == "queue" else 1
            self.assertEqual((swept.again, len(swept.lost)), (again, 1 - again))
            taker = self.new_taker(layer, f"worker.after.{channel}")
            received = layer.receive_batch([channel], 5, taker=taker)
            self.assertEqual([(one.content, one.deliveries) for one in received], [({"number": 1}, 2)] * again)

    def test_a_message_that_runs_again_has_its_turn_again(self) -> None:
        """Later messages wait for it."""
        layer = self.new_layer("processes", "ordering", at_least_once=["frames"])
        client = "interface.one!a"
        content = {"reply_channel": client, "order": 0}
        taker, _ = self.take(layer, "frames", content)
        self.assertTrue(layer.enter_turn(Turn(client, 0, "frames", token="t"), content))
        self.assertFalse(layer.enter_turn(Turn(client, 1, "frames"), {"number": 1}))
        self.assertEqual(self.swept(layer, 1, taker).again, 1)
        self.assertEqual(self.all_messages(layer, "frames"), [("frames", content)])
        self.assertTrue(layer.enter_turn(Turn(client, 0, "frames", token="u"), content))
        layer.send_batch([layer.end_of_turn(client, 0)])
        self.assertEqual(self.numbers(layer, "frames"), [1])

    def test_a_message_that_is_given_back_keeps_its_count(self) -> None:
        """A message that is given back was not delivered."""
        layer = self.new_layer("processes", at_least_once=["mail"])
        self.take(layer, "mail", {"number": 1})
        self.swept(layer, None)
        taker = self.new_taker(layer, "worker.two")
        for _ in range(3):
            received = layer.receive_batch(["mail"], 1, taker=taker)
            self.assertEqual([one.deliveries for one in received], [2])
            layer.give_back(received, taker)

    def kill_often(self, layer: BaseChannelLayer, channel: str, content: dict[str, Any], times: int) -> int:
        """Let a message kill its workers. Returns the number of dead letters that this made."""
        layer.send(channel, content)
        dead = 0
        for _ in range(times):
            taker = self.new_taker(layer, f"worker.{names.random_part()}")
            if layer.receive_batch([channel], 1, taker=taker):
                swept = layer.sweep(Process(taker.process, {}), lambda process: None)
                assert swept is not None
                dead += swept.dead_letters
        return dead

    def test_a_message_that_kills_its_workers_becomes_a_dead_letter(self) -> None:
        """It does so after ``max_deliveries``. It can be looked at and sent again."""
        layer = self.new_layer("processes", at_least_once=["mail"], max_deliveries=2)
        self.assertEqual(self.kill_often(layer, "mail", {"number": 1, "bytes": b"\0"}, 5), 1)
        self.assertEqual(self.all_messages(layer, "mail"), [])
        [letter] = layer.dead_letters()
        self.assertEqual(
            (letter.channel, letter.content, letter.deliveries), ("mail", {"number": 1, "bytes": b"\0"}, 2)
        )
        self.assertFalse(layer.retry_dead_letter("nobody"))
        self.assertTrue(layer.retry_dead_letter(letter.identity))
        self.assertFalse(layer.retry_dead_letter(letter.identity))
        self.assertEqual(layer.dead_letters(), [])
        received = layer.receive_batch(["mail"], 5)
        self.assertEqual([(one.content["number"], one.deliveries) for one in received], [(1, 1)])

    def test_a_dead_letter_can_be_dropped(self) -> None:
        """This works once."""
        layer = self.new_layer("processes", at_least_once=["mail"], max_deliveries=1)
        self.kill_often(layer, "mail", {"number": 1}, 1)
        self.kill_often(layer, "mail", {"number": 2}, 1)
        first, second = layer.dead_letters()
        self.assertEqual((first.content["number"], second.content["number"]), (1, 2))
        self.assertTrue(layer.drop_dead_letter(first.identity))
        self.assertFalse(layer.drop_dead_letter(first.identity))
        self.assertEqual(layer.dead_letters(), [second])
        self.assertEqual(self.all_messages(layer, "mail"), [])

    def test_a_dead_letter_ends_its_turn_and_answers_its_client(self) -> None:
        """Nobody waits for a message that kills its workers."""
        layer = self.new_layer("processes", "ordering", at_least_once=["http.request"], max_deliveries=1)
        client = "interface.one!a"
        taker, _ = self.take(layer, "http.request", {"reply_channel": client, "order": 0})
        self.assertEqual(self.swept(layer, 1, taker).dead_letters, 1)
        [(_, answer)] = self.all_messages(layer, "interface.one!")
        self.assertEqual(answer["status"], 502)
        self.assertTrue(layer.enter_turn(Turn(client, 1, "frames"), {}))

    # Streaming answers.

    def test_a_streaming_answer_gets_its_end(self) -> None:
        """An answer that has ended gets nothing more."""
        layer = self.new_layer("processes")
        self.new_taker(layer)
        for client in "abc":
            layer.open_answer("worker.one", f"interface.one!{client}")
        layer.close_answer("worker.one", "interface.one!b")
        layer.close_answer("worker.one", "interface.one!never")
        self.swept(layer)
        answers = self.all_messages(layer, "interface.one!")
        self.assertEqual(
            sorted((channel, answer["status"]) for channel, answer in answers),
            [("interface.one!a", 502), ("interface.one!c", 502)],
        )

    # Interface servers.

    def frame(self, layer: BaseChannelLayer, client: str, order: int, channel: str = "frames") -> Delivery:
        """The message of an interface server for a frame."""
        return layer.prepare(channel, {"order": order})._replace(client=Client(client, order))

    def connect(self, layer: BaseChannelLayer, client: str) -> Delivery:
        """Its message for a new socket."""
        will = codec.pack({"reply_channel": client, "code": 1006})
        return layer.prepare("connects", {"order": 0})._replace(client=Client(client, 0, will))

    def leave(self, layer: BaseChannelLayer, client: str, order: int) -> Delivery:
        """Its message for a socket that has closed."""
        return layer.prepare("leaves", {"order": order})._replace(client=Client(client, None))

    def test_the_sockets_of_a_process_are_known(self) -> None:
        """The layer knows them from their first message to their last."""
        layer = self.new_layer("processes")
        layer.beat(INTERFACE)
        layer.send_batch([self.connect(layer, f"interface.one!{name}") for name in "abc"])
        layer.send_batch([self.frame(layer, "interface.one!a", 1), self.leave(layer, "interface.one!b", 1)])
        self.assertEqual(sorted(layer.clients("interface.one")), ["interface.one!a", "interface.one!c"])
        self.assertEqual(layer.clients("interface.two"), [])

    def test_the_wills_of_a_dead_process_are_sent_once(self) -> None:
        """Each has the order behind the last message that the layer has taken."""
        layer = self.new_layer("processes")
        layer.beat(INTERFACE)
        layer.send_batch([self.connect(layer, f"interface.one!{name}") for name in "abc"])
        layer.send_batch([self.frame(layer, "interface.one!a", order) for order in (1, 2, 3)])
        layer.send_batch([self.leave(layer, "interface.one!b", 1)])
        swept = layer.sweep(INTERFACE, lambda process: None)
        assert swept is not None
        self.assertEqual(swept.goodbyes, 2)
        self.assertIsNone(layer.sweep(INTERFACE, lambda process: None))
        self.assertEqual(
            sorted(message["reply_channel"] + str(message["order"]) for message in self.goodbyes(layer)),
            ["interface.one!a4", "interface.one!c1"],
        )
        self.assertEqual(layer.clients("interface.one"), [])

    def goodbyes(self, layer: BaseChannelLayer) -> list[dict[str, Any]]:
        """Receive the wills that were sent."""
        return [message for _, message in self.all_messages(layer, "websocket.disconnect")]

    def test_many_wills_are_not_held_up_by_the_capacity(self) -> None:
        """They do not count as new messages."""
        layer = self.new_layer("processes", capacity=5, channel_capacity={"connects": 1000})
        layer.beat(INTERFACE)
        clients = [f"interface.one!{number}" for number in range(600)]
        self.assertEqual(layer.send_batch([self.connect(layer, client) for client in clients]), [])
        layer.sweep(INTERFACE, lambda process: None)
        self.assertEqual(sorted(message["reply_channel"] for message in self.goodbyes(layer)), sorted(clients))

    def test_a_refused_message_does_not_change_its_socket(self) -> None:
        """Only messages that the layer has taken make a socket known, and set its order."""
        layer = self.new_layer("processes", capacity=2, channel_capacity={"connects": 1})
        layer.beat(INTERFACE)
        one, two = "interface.one!a", "interface.one!b"
        self.assertEqual(layer.send_batch([self.connect(layer, one), self.connect(layer, two)]), [1])
        self.assertEqual(layer.send_batch([self.frame(layer, one, order) for order in (1, 2, 3)]), [2])
        self.assertEqual(layer.clients("interface.one"), [one])
        layer.sweep(INTERFACE, lambda process: None)
        self.assertEqual([message["order"] for message in self.goodbyes(layer)], [3])

    def test_sockets_can_be_registered_again(self) -> None:
        """This is for a layer that has lost its data."""
        layer = self.new_layer("processes")
        layer.beat(INTERFACE)
        will = codec.pack({"reply_channel": "interface.one!a", "code": 1006})
        layer.register_clients("interface.one", {"interface.one!a": (7, will)})
        self.in_event_loop(layer, layer.aregister_clients("interface.one", {"interface.one!b": (8, will)}))
        self.assertEqual(sorted(layer.clients("interface.one")), ["interface.one!a", "interface.one!b"])
        layer.sweep(INTERFACE, lambda process: None)
        self.assertEqual(sorted(message["order"] for message in self.goodbyes(layer)), [8, 9])

    def test_memberships_and_queues_end_with_their_process(self) -> None:
        """Nobody can send to them any more."""
        layer = self.new_layer("processes", "groups")
        layer.beat(INTERFACE)
        for client in "ab":
            layer.group_add("group", f"interface.one!{client}")
            layer.group_add("other", f"interface.one!{client}")
        layer.group_add("group", "interface.two!a")
        layer.send("interface.one!a", {})
        layer.sweep(INTERFACE, lambda process: None)
        self.assertEqual(layer.group_channels("group"), ["interface.two!a"])
        self.assertEqual(layer.group_channels("other"), [])
        layer.send_group("group", {})
        self.assertEqual(layer.receive(["interface.one!"]), (None, None))
        self.assertTrue(layer.has_ended("interface.one"))
        self.assertFalse(layer.has_ended("interface.two"))
        self.assertEqual(self.next_message(layer, "interface.two!"), ("interface.two!a", {}))

    def test_messages_to_a_process_that_is_gone_are_dropped(self) -> None:
        """No queue is made for it, and its sender does not wait."""
        layer = self.new_layer("processes", capacity=2)
        layer.beat(INTERFACE)
        layer.sweep(INTERFACE, lambda process: None)
        for _ in range(5):
            layer.send("interface.one!a", {})
        layer.group_discard("group", "interface.one!a")
        self.assertEqual(layer.receive(["interface.one!"]), (None, None))
        self.assertTrue(layer.has_ended("interface.one"))
        self.assertFalse(layer.has_ended("interface.two"))
