"""The in-flight messages of takers, in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from channels_classic.layers.memory.queues import Entry
from channels_classic.layers.takers import Taker, taker_name


class Batch(NamedTuple):
    """The messages that a taker has taken in one call."""

    number: int
    entries: list[Entry]


class InFlight:
    """The batches of all takers. It is used under the layer's lock."""

    def __init__(self) -> None:
        self._batches: dict[str, dict[int, Batch]] = {}

    def acknowledge(self, taker: Taker) -> list[Entry]:
        """End the last batch that a taker has received. Returns the entries of one that it has not received."""
        batch = self._batches.get(taker.process, {}).get(taker.number)
        self._drop(taker)
        return [] if batch is None or batch.number == taker.batch else batch.entries

    def note(self, taker: Taker, entries: Sequence[Entry]) -> None:
        """Note that a taker has taken entries."""
        if entries:
            taker.batch = taker.ask()
            self._batches.setdefault(taker.process, {})[taker.number] = Batch(taker.batch, list(entries))

    def give_back(self, taker: Taker, entries: Iterable[Entry]) -> None:
        """Note that a taker has given entries back."""
        batch = self._batches.get(taker.process, {}).get(taker.number)
        if batch is None:
            return
        for entry in entries:
            if entry in batch.entries:
                batch.entries.remove(entry)
        if not batch.entries:
            self._drop(taker)

    def remove(self, process: str) -> list[tuple[str, Batch]]:
        """Remove the batches of a process. Returns each with the name of its taker."""
        batches = self._batches.pop(process, {})
        return [(taker_name(process, number), batch) for number, batch in batches.items()]

    def clear(self) -> None:
        """Drop all."""
        self._batches.clear()

    def _drop(self, taker: Taker) -> None:
        of_process = self._batches.get(taker.process, {})
        of_process.pop(taker.number, None)
        if not of_process:
            self._batches.pop(taker.process, None)
