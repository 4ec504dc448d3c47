"""Values by name (``get_value``, ``set_value``, ``keep_value`` and ``delete_value``)."""

from __future__ import annotations

from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.conformance.harness import Harness


class ValueTests(Harness):
    """What a layer keeps that is not a message."""

    def value(self, layer: BaseChannelLayer, name: str) -> bytes | None:
        """The value of a name."""
        found = layer.get_value(name)
        return None if found is None else found[0]

    def test_a_value_is_kept_under_its_name(self) -> None:
        """Any bytes, under any name."""
        layer = self.new_layer("values")
        every_byte = bytes(range(256)) * 10
        self.assertTrue(layer.set_value("a:b c/é", every_byte, 60, replace=False))
        self.assertTrue(layer.set_value("other", b"", 60, replace=False))
        self.assertEqual(self.value(layer, "a:b c/é"), every_byte)
        self.assertEqual(self.value(layer, "other"), b"")
        self.assertIsNone(self.value(layer, "a"))

    def test_values_are_created_and_replaced_on_purpose(self) -> None:
        """Never the one in the place of the other."""
        layer = self.new_layer("values")
        self.assertFalse(layer.set_value("name", b"1", 60, replace=True))
        self.assertIsNone(self.value(layer, "name"))
        self.assertTrue(layer.set_value("name", b"2", 60, replace=False))
        self.assertFalse(layer.set_value("name", b"3", 60, replace=False))
        self.assertEqual(self.value(layer, "name"), b"2")
        self.assertTrue(layer.set_value("name", b"4", 60, replace=True))
        self.assertEqual(self.value(layer, "name"), b"4")

    def test_of_many_threads_only_one_creates_it(self) -> None:
        """Whoever comes first."""
        layer = self.new_layer("values")
        for round_ in range(20):
            created = self.at_once(
                *[lambda round_=round_: layer.set_value(f"name{round_}", b"", 60, replace=False) for _ in range(8)]
            )
            self.assertEqual(sum(created), 1)

    def test_a_deleted_value_is_gone(self) -> None:
        """And can be made again; deleting what is not there does nothing."""
        layer = self.new_layer("values")
        layer.set_value("name", b"1", 60, replace=False)
        layer.delete_value("name")
        layer.delete_value("name")
        self.assertIsNone(self.value(layer, "name"))
        self.assertFalse(layer.set_value("name", b"2", 60, replace=True))
        self.assertTrue(layer.set_value("name", b"3", 60, replace=False))

    def test_a_value_ends_with_its_time(self) -> None:
        """Unless it is kept for longer."""
        layer = self.new_layer("values")
        for name, life in (("short", 0.2), ("kept", 30), ("replaced", 30)):
            layer.set_value(name, b"1", life, replace=False)
        layer.keep_value("kept", 60)
        layer.keep_value("never was", 60)
        layer.set_value("replaced", b"2", 60, replace=True)
        for name in ("kept", "replaced"):
            found = layer.get_value(name)
            assert found is not None
            self.assertGreater(found[1], 30)
            self.assertLessEqual(found[1], 60)
        self.outlive(0.2)
        self.assertIsNone(layer.get_value("short"))
        self.assertFalse(layer.set_value("short", b"3", 60, replace=True))
        self.assertEqual((self.value(layer, "kept"), self.value(layer, "replaced")), (b"1", b"2"))
        self.assertIsNone(layer.get_value("never was"))

    def test_flush_drops_values(self) -> None:
        """As it drops all else."""
        layer = self.new_layer("values", "flush")
        layer.set_value("name", b"1", 60, replace=False)
        layer.flush()
        self.assertIsNone(layer.get_value("name"))

    def test_values_are_the_same_for_all_processes(self) -> None:
        """What one keeps, another finds."""
        one, two = self.new_peers(2, "values")
        one.set_value("name", b"1", 60, replace=False)
        self.assertEqual(self.value(two, "name"), b"1")
        two.delete_value("name")
        self.assertIsNone(self.value(one, "name"))
