"""The sweep in memory: gives to others what a dead process had, and removes what it owned."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from channels_classic.layers import codec, names
from channels_classic.layers.memory.groups import Groups
from channels_classic.layers.memory.inflight import Batch, InFlight
from channels_classic.layers.memory.letters import DeadLetters
from channels_classic.layers.memory.processes import Processes, Socket
from channels_classic.layers.memory.queues import Entry, Queues
from channels_classic.layers.memory.turns import Turns
from channels_classic.layers.redelivery import (
    BAD_GATEWAY,
    GOODBYE_CHANNEL,
    LOST_GOODBYE_CHANNEL,
    Fate,
    Rules,
    answer_to,
    is_lost_goodbye,
    own_queues,
    progress_of,
    turn_of,
)
from channels_classic.layers.tracking import Progress
from channels_classic.layers.types import DeadLetter, Lost, Process, Swept


class Sweep:
    """The sweep of one process. It is used under the layer's lock, so nothing comes in between.

    Arguments:
        queues, groups, turns, processes, in_flight, letters: the parts of the layer.
        process: the process to sweep.
        rules: decide about its in-flight messages.
    """

    def __init__(
        self,
        queues: Queues,
        groups: Groups,
        turns: Turns,
        processes: Processes,
        in_flight: InFlight,
        letters: DeadLetters,
        process: Process,
        rules: Rules,
    ) -> None:
        self._queues = queues
        self._groups = groups
        self._turns = turns
        self._processes = processes
        self._in_flight = in_flight
        self._letters = letters
        self._process = process
        self._rules = rules
        self._counts = dict.fromkeys(Fate, 0)
        self._lost: list[Lost] = []
        self._takers = int(process.details.get("threads") or 1)

    def run(self, started: Mapping[str, Progress] | None) -> Swept | None:
        """Carry out the sweep. Returns ``None`` if the process has ended.

        Arguments:
            started: what the journal of the process says; ``None`` if there is no journal to read.
        """
        if not self._processes.has(self._process.name):
            return None
        for taker, batch in self._in_flight.remove(self._process.name):
            self._settle(batch, progress_of(started, self._process, taker, batch.number, len(batch.entries)))
        sockets, answers = self._processes.remove(self._process.name)
        for reply_channel in answers:
            self._reply(reply_channel, BAD_GATEWAY)
        self._queues.put_due_in_front(self._turns.release(list(sockets)))
        goodbyes = self._say_goodbye(sockets)
        self.remove_own()
        counts = self._counts
        return Swept(counts[Fate.BACK], counts[Fate.AGAIN], counts[Fate.DEAD_LETTER], self._lost, goodbyes)

    def remove_own(self) -> None:
        """End the memberships of the process, and drop its queues."""
        for queue in own_queues(self._process.name, self._takers):
            self._groups.release_process(queue)
            self._queues.drop(queue)

    def _settle(self, batch: Batch, progress: Progress) -> None:
        back: list[Entry] = []
        for number, entry in enumerate(batch.entries):
            (channel,) = entry.channels
            content = codec.unpack(entry.payload)
            fate = self._rules.fate(channel, entry.deliveries + 1, number, progress)
            self._counts[fate] += 1
            turn = turn_of(channel, content)
            if fate is Fate.BACK:
                back.append(entry)
            elif fate is Fate.AGAIN:
                if turn is not None:
                    self._turns.suspend(turn, forced=True)
                back.append(entry._replace(sent=time.monotonic(), deliveries=entry.deliveries + 1))
            elif fate is not Fate.DONE:
                self._end(Lost(channel, content), fate, entry)
        self._queues.put_in_front(back)

    def _end(self, lost: Lost, fate: Fate, entry: Entry) -> None:
        """Handle a message that does not run any more."""
        if fate is Fate.LOST:
            self._lost.append(lost)
            if is_lost_goodbye(lost.channel, fate):
                self._queues.push(Entry.of(time.monotonic(), LOST_GOODBYE_CHANNEL, entry.payload))
        else:
            deliveries = entry.deliveries + 1
            reason = self._rules.reason(deliveries)
            letter = DeadLetter(names.random_part(), *lost, deliveries, time.time(), reason)
            self._letters.add(letter, len(entry.payload))
        if (turn := turn_of(*lost)) is not None:
            self._queues.put_due_in_front(self._turns.lose(turn))
            if is_lost_goodbye(lost.channel, fate):  # the client has left, so its turns need not stay for long
                self._queues.put_due_in_front(self._turns.release([turn.reply_channel]))
        if (answer := answer_to(lost)) is not None:
            self._reply(*answer)

    def _reply(self, reply_channel: str, content: dict[str, Any]) -> None:
        self._queues.send(reply_channel, Entry.of(time.monotonic(), reply_channel, codec.pack(content)))

    def _say_goodbye(self, sockets: Mapping[str, Socket]) -> int:
        goodbyes = 0
        for socket in sockets.values():
            if socket.will is not None:
                content = {**codec.unpack(socket.will), "order": socket.order + 1}
                self._queues.push(Entry.of(time.monotonic(), GOODBYE_CHANNEL, codec.pack(content)))
                goodbyes += 1
        return goodbyes
