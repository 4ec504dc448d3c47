"""Tests of the registry of processes (the docstrings of ``ProcessCalls``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from channels_classic.layers.conformance.in_flight import TakerHarness
from channels_classic.layers.exceptions import Lapsed
from channels_classic.layers.fencing import act_as
from channels_classic.layers.types import Lease, Process, Turn

ONE = Process("worker.one", {"kind": "worker", "threads": 2, "at_least_once": ["mail"], "pid": 1, "started": 1.5})
TWO = Process("worker.two", {"kind": "worker"})


class _Actor(NamedTuple):
    """Code that acts in the name of a process."""

    process: str

    def confirm(self) -> None:
        """Ask nobody."""


class RegistryTests(TakerHarness):
    """Processes are alive, dead, or lapsed."""

    def test_a_process_that_sends_heartbeats_is_alive(self) -> None:
        """The registry has the details that it gave."""
        layer = self.new_layer("processes")
        self.assertEqual(layer.beat(ONE), (False, []))
        self.assertEqual(layer.beat(TWO), (False, []))
        self.assertEqual(layer.beat(ONE), (False, []))
        self.assertEqual(sorted(layer.processes()), [ONE, TWO])

    def test_the_groups_of_a_client(self) -> None:
        """They are those that the client has joined, and that have not ended."""
        layer = self.new_layer("processes", "groups", group_expiry=0.5)
        one, two = "sends.one!a", "sends.one!b"
        self.assertEqual(layer.client_groups(one), [])
        for number in range(20):
            layer.group_add(f"group{number}", one)
        layer.group_add("group0", two)
        layer.group_discard("group1", one)
        self.assertEqual(
            sorted(layer.client_groups(one)), sorted(f"group{number}" for number in (0, *range(2, 20)))
        )
        self.assertEqual(layer.client_groups(two), ["group0"])
        layer.group_discard("group0", two)
        self.assertEqual(layer.client_groups(two), [])
        self.wait_until(lambda: layer.client_groups(one) == [])

    def test_a_process_without_heartbeats_is_dead(self) -> None:
        """The others learn of it until it is swept. Then it is forgotten."""
        layer = self.new_layer("processes")
        layer.life = 0.2
        layer.beat(ONE)
        self.wait_until(lambda: layer.beat(TWO).dead == [ONE])
        self.assertNotIn(ONE, layer.processes())
        layer.sweep(ONE, lambda process: {})
        self.assertNotIn(ONE, layer.beat(TWO).dead)

    def test_a_heartbeat_in_time_keeps_a_process_alive(self) -> None:
        """A late heartbeat counts as long as nobody has swept the process."""
        layer = self.new_layer("processes")
        layer.life = 0.2
        layer.beat(ONE)
        self.wait_until(lambda: layer.beat(TWO).dead == [ONE])
        layer.life = 100.0
        self.assertEqual(layer.beat(ONE), (False, []))
        self.assertEqual(layer.beat(TWO), (False, []))

    def test_a_process_that_departs_is_forgotten(self) -> None:
        """What it had counts as done, and its queues are removed."""
        layer = self.new_layer("processes", "groups")
        taker = self.new_taker(layer)
        layer.send("queue", {})
        layer.receive_batch(["queue"], 1, taker=taker)
        layer.send("worker.one!a", {})
        layer.group_add("group", "worker.one!a")
        layer.depart(ONE)
        self.assertEqual(layer.processes(), [])
        self.assertEqual(layer.beat(TWO).dead, [])
        self.assertEqual(layer.receive(["queue", "worker.one!"]), (None, None))
        self.assertEqual(layer.group_channels("group"), [])

    def test_a_process_that_was_swept_has_lapsed(self) -> None:
        """It learns of it, and can take and send again only under a new name."""
        layer = self.new_layer("processes")
        taker = self.new_taker(layer)
        layer.send("queue", {"number": 1})
        batch = layer.receive_batch(["queue"], 1, taker=taker)
        layer.sweep(ONE, lambda process: {})
        with self.assertRaises(Lapsed) as lapse:
            layer.send_and_receive([layer.prepare("other", {})], ["queue"], 1, taker=taker)
        self.assertTrue(lapse.exception.nothing_done)
        with self.assertRaises(Lapsed):
            layer.send_and_receive([layer.prepare("other", {})], [], 0, taker=taker)
        with self.assertRaises(Lapsed):
            layer.receive_batch(["queue"], 1, taker=taker)
        with self.assertRaises(Lapsed):
            layer.give_back(batch, taker)
        self.assertTrue(layer.beat(ONE).lapsed)
        self.assertTrue(layer.beat(ONE).lapsed)
        self.assertEqual(self.all_messages(layer, "other", "queue"), [("queue", {"number": 1})])
        again = self.new_taker(layer, "worker.again")
        layer.send("queue", {})
        self.assertEqual(len(layer.receive_batch(["queue"], 1, taker=again)), 1)

    def test_code_that_acts_in_the_name_of_a_swept_process_is_refused(self) -> None:
        """Nothing that it does takes effect. Other code is not affected."""
        layer = self.new_layer("processes", "groups", "ordering", "values")
        self.new_taker(layer)
        layer.set_value("old", b"1", 60, replace=False)
        layer.group_add("group", "sends.one!old")
        actions: list[Callable[[], object]] = [
            lambda: layer.send("queue", {}),
            lambda: layer.send("reader!one", {}),
            lambda: layer.send_group("group", {}),
            lambda: layer.group_add("group", "sends.one!new"),
            lambda: layer.group_add("group", "plain"),
            lambda: layer.group_discard("group", "sends.one!old"),
            lambda: layer.enter_turn(Turn("sends.one!a", 0, "frames", token="t"), {}),
            lambda: layer.set_value("new", b"2", 60, replace=False),
            lambda: layer.set_value("old", b"2", 60, replace=True),
            lambda: layer.keep_value("old", 3600),
            lambda: layer.delete_value("old"),
        ]
        self.addCleanup(act_as, None)
        act_as(_Actor("worker.one"))
        layer.set_value("old", b"0", 60, replace=True)  # while it lives, it may
        layer.sweep(ONE, lambda process: {})
        for action in actions:
            with self.assertRaises(Lapsed) as lapse:
                action()
            self.assertIn("worker.one", str(lapse.exception))
        with self.assertRaises(Lapsed):
            self.in_event_loop(layer, layer.asend_batch([layer.prepare("queue", {})]))
        act_as(None)
        self.assertEqual(self.all_messages(layer, "queue", "reader!"), [])
        self.assertEqual(layer.group_channels("group"), ["sends.one!old"])
        old = layer.get_value("old")
        assert old is not None
        self.assertEqual(old[0], b"0")
        self.assertLess(old[1], 61)
        self.assertIsNone(layer.get_value("new"))
        for action in actions:
            action()

    def test_after_flush_a_process_goes_on(self) -> None:
        """It has not lapsed: the layer was emptied, and knows it again with its next heartbeat."""
        layer = self.new_layer("processes")
        taker = self.new_taker(layer)
        layer.flush()
        layer.send("queue", {})
        self.assertEqual(len(layer.receive_batch(["queue"], 1, taker=taker)), 1)
        self.assertEqual(layer.beat(ONE), (False, []))
        self.assertEqual(layer.processes(), [ONE])

    def test_a_heartbeat_renews_leases(self) -> None:
        """It renews the leases that it names, and no others."""
        layer = self.new_layer("processes", "ordering")
        self.assertTrue(layer.enter_turn(Turn("sends.one!a", 0, "frames", token="t"), {}))
        beat = layer.beat(ONE, [Lease("sends.one!a", 0, "t"), Lease("sends.one!b", 3, "u")])
        self.assertFalse(beat.lapsed)
        self.assertFalse(layer.enter_turn(Turn("sends.one!a", 1, "frames"), {}))
        self.assertTrue(layer.enter_turn(Turn("sends.one!b", 0, "frames"), {}))

    def test_heartbeats_from_an_event_loop(self) -> None:
        """It can sweep and depart, too."""
        layer = self.new_layer("processes")

        async def live() -> None:
            self.assertEqual(await layer.abeat(TWO), (False, []))
            swept = await layer.asweep(ONE, lambda process: {})
            assert swept is not None
            await layer.adepart(TWO)

        layer.beat(ONE)
        self.in_event_loop(layer, live())
        self.assertEqual(layer.processes(), [])
