"""Tests of values (``get_value``, ``set_value``, ``keep_value`` and ``delete_value``)."""

from __future__ import annotations

from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.conformance.harness import Harness


class ValueTests(Harness):
    """A layer keeps named values for a limited time."""

    def value(self, layer: BaseChannelLayer, name: str) -> bytes | None:
        """The value with a name."""
        found = layer.get_value(name)
        return None if found is None else found[0]

    def test_a_value_is_kept_under_its_name(self) -> None:
        """A value is any bytes, under any name."""
        layer = self.new_layer("values")
        every_byte = bytes(range(256)) * 10
        self.assertTrue(layer.set_value("a:b c/é", every_byte, 60, replace=False))
        self.assertTrue(layer.set_value("other", b"", 60, replace=False))
        self.assertEqual(self.value(layer, "a:b c/é"), every_byte)
        self.assertEqual(self.value(layer, "other"), b"")
        self.assertIsNone(self.value(layer, "a"))

    def test_setting_and_replacing_values_are_separate(self) -> None:
        """``set_value`` does only what it was asked for."""
        layer = self.new_layer("values")
        self.assertFalse(layer.set_value("name", b"1", 60, replace=True))
        self.assertIsNone(self.value(layer, "name"))
        self.assertTrue(layer.set_value("name", b"2", 60, replace=False))
        self.assertFalse(layer.set_value("name", b"3", 60, replace=False))
        self.assertEqual(self.value(layer, "name"), b"2")
        self.assertTrue(layer.set_value("name", b"4", 60, replace=True))
        self.assertEqual(self.value(layer, "name"), b"4")

    def test_only_one_of_many_threads_sets_a_value(self) -> None:
        """The first one does."""
        layer = self.new_layer("values")
        for round_ in range(20):
            created = self.at_once(
                *[lambda round_=round_: layer.set_value(f"name{round_}", b"", 60, replace=False) for _ in range(8)]
            )
            self.assertEqual(sum(created), 1)

    def test_a_deleted_value_is_gone(self) -> None:
        """It can be set again. To delete a value that does not exist does nothing."""
        layer = self.new_layer("values")
        layer.set_value("name", b"1", 60, replace=False)
        layer.delete_value("name")
        layer.delete_value("name")
        self.assertIsNone(self.value(layer, "name"))
        self.assertFalse(layer.set_value("name", b"2", 60, replace=True))
        self.assertTrue(layer.set_value("name", b"3", 60, replace=False))

    def test_a_value_ends_with_its_time(self) -> None:
        """``keep_value`` changes its time."""
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
        """They are gone afterwards."""
        layer = self.new_layer("values", "flush")
        layer.set_value("name", b"1", 60, replace=False)
        layer.flush()
        self.assertIsNone(layer.get_value("name"))

    def test_values_are_the_same_for_all_processes(self) -> None:
        """One process finds what another has set."""
        one, two = self.new_peers(2, "values")
        one.set_value("name", b"1", 60, replace=False)
        self.assertEqual(self.value(two, "name"), b"1")
        two.delete_value("name")
        self.assertIsNone(self.value(one, "name"))
