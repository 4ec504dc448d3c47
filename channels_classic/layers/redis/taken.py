"""``Taken``: the answer of a server to ``receive.lua`` and ``take.lua``.

The answer is one flat list, packed if it is short (``hand_out.lua``). Before version 7, Redis sends each nested
list in a piece of its own, and the reader wakes up for each of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgpack

from channels_classic.layers.exceptions import LayerUnavailable
from channels_classic.layers.redis.connections.steps import Answers
from channels_classic.layers.redis.queues import Entry, quick_entry

DECLARED_DEAD = 1
"""The state in the answer to a taker whose process was declared dead."""


class Taken(NamedTuple):
    """What one server has handed out.

    Arguments:
        server: the position of the server.
        now: its time: 16 digits, microseconds.
        epoch: the epoch of its data.
        entries: the entries, queue by queue, in the order in which the queues were asked for.
        has_lapsed: whether the process that asked was declared dead.
        unseen: what the taker that asked has in-flight and has not received.
        foreign: the queues whose keys are not lists, because another program uses them.
        number: for a reader, the number to confirm.
    """

    server: int
    now: bytes
    epoch: bytes
    entries: list[Entry]
    has_lapsed: bool = False
    unseen: Sequence[bytes] = ()
    foreign: Sequence[str] = ()
    number: int = 0

    @classmethod
    def of(cls, server: int, answer: Any, queues: Sequence[str] = ()) -> Taken:
        """Read the answer of a server.

        Arguments:
            queues: in the order in which they were asked for.
        """
        if isinstance(answer, bytes):
            answer = msgpack.unpackb(answer, raw=True)
        *counts, now, epoch, state, number = answer[len(answer) - len(queues) - 4 :]
        entries: list[Entry] = []
        foreign: list[str] = []
        for queue, count in zip(queues, counts, strict=True):
            if count < 0:
                foreign.append(queue)
            elif count:
                start = len(entries)
                entries += [quick_entry((server, queue, value)) for value in answer[start : start + count]]
        if isinstance(state, int):
            return cls(server, now, epoch, entries, state == DECLARED_DEAD, (), foreign, number)
        return cls(server, now, epoch, entries, False, state, foreign)


def last_taken(answers: Answers, asked: Mapping[int, Sequence[str]]) -> list[Taken | LayerUnavailable]:
    """What each server has handed out in the last command of a round trip.

    Arguments:
        asked: for each server the queues in the order in which they were asked for.
    """
    found: list[Taken | LayerUnavailable] = []
    for server, queues in asked.items():
        answer = answers[server][-1]
        found.append(answer if isinstance(answer, LayerUnavailable) else Taken.of(server, answer, queues))
    return found
