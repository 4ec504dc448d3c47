"""The in-flight batch of a taker, as Redis keeps it (``take.lua``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from channels_classic.layers.redis.connections.steps import Command
from channels_classic.layers.redis.keys import Keys

_QUEUE = b">"
"""The first byte of the key of a queue. An entry begins with a digit."""


class Batch(NamedTuple):
    """A batch that a taker has taken from one server.

    Arguments:
        number: the number of the batch.
        taken: the time at which it was taken: 16 digits, microseconds by the clock of the server.
        entries: for each message the name of its queue, and the entry.
    """

    number: int
    taken: bytes
    entries: list[tuple[str, bytes]]

    @classmethod
    def of(cls, stored: Sequence[bytes], keys: Keys) -> Batch:
        """Read a batch from its list in Redis."""
        number, taken, *rest = stored
        entries = []
        queue = ""
        for value in rest:
            if value.startswith(_QUEUE):
                queue = keys.queue_of(value[len(_QUEUE) :])
            else:
                entries.append((queue, value))
        return cls(int(number), taken, entries)

    def settle(self, keys: Keys, taker: str, back: Sequence[tuple[str, bytes, bool]], expiry: float) -> Command:
        """The command that ends the batch.

        Arguments:
            back: the entries that go back in front of their queues, in order: the name of the queue, the entry,
                and whether the entry needs a new time of expiry.
            expiry: seconds that a message lives.
        """
        queues = {queue: number for number, queue in enumerate(dict.fromkeys(queue for queue, *_ in back), 1)}
        all_keys = [keys.in_flight(taker), *keys.with_bells(queues)]
        triples: list[Any] = []
        for queue, value, is_new in reversed(back):
            triples += [queues[queue], int(is_new), value]
        return ("settle", len(all_keys), *all_keys, self.number, int(expiry * 1000), *triples)
