"""The channel layer of one process: for development, for tests, and for a first look."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from channels_classic.layers import codec, names, turns
from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.fencing import acting_process
from channels_classic.layers.group_sizes import GroupSizes
from channels_classic.layers.memory.arrivals import Arrivals
from channels_classic.layers.memory.groups import Groups
from channels_classic.layers.memory.immediate import ImmediateCalls
from channels_classic.layers.memory.inflight import InFlight
from channels_classic.layers.memory.letters import DeadLetters
from channels_classic.layers.memory.processes import Processes
from channels_classic.layers.memory.queues import Entry, Queues
from channels_classic.layers.memory.sweep import Sweep
from channels_classic.layers.memory.turns import Turns
from channels_classic.layers.memory.values import Values
from channels_classic.layers.redelivery import Rules
from channels_classic.layers.takers import Taker
from channels_classic.layers.tracking import Started
from channels_classic.layers.turns import check_turn, may_run
from channels_classic.layers.types import (
    Beat,
    Client,
    DeadLetter,
    Delivery,
    Lease,
    Process,
    Received,
    Swept,
    Turn,
)


class InMemoryChannelLayer(ImmediateCalls, BaseChannelLayer):
    """Keeps everything in this process. All its threads and event loops can use it.

    It takes the keywords of ``BaseChannelLayer``. Waiting costs nothing, because the sender wakes those that wait.
    """

    extensions: ClassVar[list[str]] = [*BaseChannelLayer.extensions, "ordering", "values", "processes"]
    local_only: ClassVar[bool] = True

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self.has_receiver = False
        self._lock = threading.Lock()
        self._arrivals = Arrivals(self._lock)
        self._queues = Queues(self.expiry, self.capacity_of)
        self._groups = Groups(self.group_expiry)
        self._turns = Turns(self.expiry, self.group_expiry)
        self._values = Values()
        self._processes = Processes(lambda: self.life)
        self._in_flight = InFlight()
        self._letters = DeadLetters()
        self._beats = False
        """Whether processes send heartbeats, which renew the leases of their turns."""
        self._next_tidying = time.monotonic() + self.expiry

    # Messages.

    def send_batch(self, deliveries: Sequence[Delivery]) -> list[int]:
        """See the contract."""
        full: list[int] = []
        now = time.monotonic()
        with self._lock:
            self._check_actor()
            if now > self._next_tidying:
                self._tidy(now)
            for position, delivery in enumerate(deliveries):
                if delivery.turn_end is not None:
                    self._queues.put_due_in_front(self._turns.end(delivery.name, delivery.turn_end))
                elif delivery.to_group:
                    members = self._groups.members_by_queue(delivery.name, now)
                    self._queues.send_to_members(members, now, delivery.payload)
                elif self._processes.is_gone(names.process_name(delivery.name)):
                    continue
                elif not self._queues.send(delivery.name, Entry.of(now, delivery.name, delivery.payload)):
                    full.append(position)
                elif delivery.client is not None:
                    self._processes.note(delivery.client)
            self._arrivals.tell()
        return full

    def receive_batch(
        self, channels: Sequence[str], limit: int, timeout: float = 0, taker: Taker | None = None
    ) -> list[Received]:
        """See the contract."""
        self.has_receiver = True
        channels = names.check_all_receivable(channels)
        taken: list[Received] = []

        def take() -> bool:
            if taker is not None:
                self._processes.check(taker.process)
            taken.extend(self._queues.take(channels, limit))
            return bool(taken)

        with self._lock:
            if taker is not None:
                self._queues.put_in_front(self._in_flight.acknowledge(taker))
            if not take() and timeout:
                self._arrivals.wait_for(take, timeout)
            if taker is not None:
                self._in_flight.note(taker, [one.receipt for one in taken if names.is_normal(one.channel)])
        return taken

    def send_and_receive(
        self,
        deliveries: Sequence[Delivery],
        channels: Sequence[str],
        limit: int,
        timeout: float = 0,
        taker: Taker | None = None,
    ) -> tuple[list[int], list[Received]]:
        """See the contract."""
        if taker is None:
            return super().send_and_receive(deliveries, channels, limit, timeout)
        with self._lock:
            self._processes.check(taker.process)
        ends = [position for position, delivery in enumerate(deliveries) if delivery.turn_end is not None]
        full = self.send_batch([delivery for delivery in deliveries if delivery.turn_end is None])
        if full:
            messages = [position for position in range(len(deliveries)) if position not in ends]
            full = sorted([messages[number] for number in full] + ends)
        elif ends:
            self.send_batch([deliveries[position] for position in ends])
        if not channels:
            return full, []
        return full, self.receive_batch(channels, limit, 0 if full else timeout, taker)

    async def areceive_batch(self, channels: Sequence[str], limit: int, timeout: float) -> list[Received]:
        """See the contract."""
        self.has_receiver = True
        channels = names.check_all_receivable(channels)
        taken: list[Received] = []

        def take() -> bool:
            taken.extend(self._queues.take(channels, limit))
            return bool(taken)

        await self._arrivals.wait_until(take, asyncio.get_running_loop().time() + timeout)
        return taken

    def give_back(self, batch: Sequence[Received], taker: Taker | None = None) -> None:
        """See the contract."""
        entries = [received.receipt for received in batch]
        with self._lock:
            if taker is not None:
                self._processes.check(taker.process)
                self._in_flight.give_back(taker, entries)
            self._queues.put_in_front(entries)
            self._arrivals.tell()

    # Groups.

    def group_add(self, group: str, channel: str) -> None:
        """See the contract."""
        names.check_group(group)
        names.check_channel(channel)
        with self._lock:
            self._check_actor()
            self._groups.add(group, channel)

    def group_discard(self, group: str, channel: str) -> None:
        """See the contract."""
        names.check_group(group)
        names.check_channel(channel)
        with self._lock:
            self._check_actor()
            self._groups.discard(group, channel)

    def group_channels(self, group: str) -> list[str]:
        """See the contract."""
        names.check_group(group)
        with self._lock:
            return self._groups.members(group, time.monotonic())

    def release(self, channels: Iterable[str]) -> None:
        """See the contract."""
        channels = list(channels)
        with self._lock:
            self._groups.release(channels)
            self._queues.put_due_in_front(self._turns.release(channels))
            self._arrivals.tell()

    def joined(self) -> list[str]:
        """See the contract."""
        with self._lock:
            return self._groups.joined()

    def group_sizes(self) -> GroupSizes:
        """See the contract."""
        with self._lock:
            return self._groups.sizes()

    def renew(self, channels: Iterable[str]) -> None:
        """See the contract."""
        channels = list(channels)
        with self._lock:
            self._groups.renew(channels)

    # Turns.

    def enter_turn(self, turn: Turn, message: dict[str, Any]) -> bool:
        """See the contract."""
        check_turn(turn)
        payload = codec.pack(message)
        with self._lock:
            self._check_actor()
            lease = turns.RENEWED_LEASE_SECONDS if self._beats else turns.LEASE_SECONDS
            verdict, back = self._turns.enter(turn, payload, lease)
            if back:
                self._queues.put_due_in_front(back)
                self._arrivals.tell()
        return may_run(verdict, turn)

    def suspend_turn(self, turn: Turn) -> None:
        """See the contract."""
        with self._lock:
            self._turns.suspend(turn)

    def take_waiting(self, client: str) -> Received | None:
        """Take the first message of a client that waits for its turn, for tests."""
        with self._lock:
            due = self._turns.take_waiting(client)
        return None if due is None else Received(due.channel, codec.unpack(due.payload))

    # Processes.

    def taker(self, process: str, number: int) -> Taker:
        """See the contract."""
        return Taker(process, number)

    def beat(self, process: Process, leases: Sequence[Lease] = ()) -> Beat:
        """See the contract."""
        self._beats = True
        with self._lock:
            beat = self._processes.beat(process, time.monotonic())
            if not beat.lapsed:
                for lease in leases:
                    self._turns.renew(lease, turns.RENEWED_LEASE_SECONDS)
        return beat

    def depart(self, process: Process) -> None:
        """See the contract."""
        with self._lock:
            self._in_flight.remove(process.name)
            self._processes.remove(process.name)
            self._sweep(process).remove_own()

    def sweep(self, process: Process, started: Started) -> Swept | None:
        """See the contract."""
        counts = started(process)
        with self._lock:
            swept = self._sweep(process).run(counts)
            self._arrivals.tell()
        return swept

    def processes(self) -> list[Process]:
        """See the contract."""
        with self._lock:
            return self._processes.alive(time.monotonic())

    def has_ended(self, process: str) -> bool:
        """See the contract."""
        with self._lock:
            return self._processes.is_gone(process)

    def clients(self, process: str) -> list[str]:
        """See the contract."""
        with self._lock:
            return self._processes.sockets(process)

    def client_groups(self, reply_channel: str) -> list[str]:
        """See the contract."""
        names.check_channel(reply_channel)
        with self._lock:
            return self._groups.of_channel(reply_channel, time.monotonic())

    def register_clients(self, process: str, clients: Mapping[str, tuple[int, bytes]]) -> None:
        """See the contract."""
        with self._lock:
            for channel, (order, will) in clients.items():
                self._processes.note(Client(channel, order, will))

    def open_answer(self, process: str, reply_channel: str) -> None:
        """See the contract."""
        with self._lock:
            self._processes.open_answer(process, reply_channel)

    def close_answer(self, process: str, reply_channel: str) -> None:
        """See the contract."""
        with self._lock:
            self._processes.close_answer(process, reply_channel)

    def dead_letters(self) -> list[DeadLetter]:
        """See the contract."""
        with self._lock:
            return self._letters.all()

    def retry_dead_letter(self, identity: str) -> bool:
        """See the contract."""
        with self._lock:
            letter = self._letters.take(identity)
            if letter is not None:
                self._queues.push(Entry.of(time.monotonic(), letter.channel, codec.pack(letter.content)))
                self._arrivals.tell()
        return letter is not None

    def drop_dead_letter(self, identity: str) -> bool:
        """See the contract."""
        with self._lock:
            return self._letters.take(identity) is not None

    # Values.

    def get_value(self, name: str) -> tuple[bytes, float] | None:
        """See the contract."""
        with self._lock:
            return self._values.get(name)

    def set_value(self, name: str, value: bytes, seconds: float, replace: bool) -> bool:
        """See the contract."""
        with self._lock:
            self._check_actor()
            return self._values.set(name, value, seconds, replace)

    def keep_value(self, name: str, seconds: float) -> None:
        """See the contract."""
        with self._lock:
            self._check_actor()
            self._values.keep(name, seconds)

    def delete_value(self, name: str) -> None:
        """See the contract."""
        with self._lock:
            self._check_actor()
            self._values.delete(name)

    # Flow control.

    def pause(self, channels: Iterable[str]) -> None:
        """See the contract."""
        with self._lock:
            self._queues.pause(channels)

    def resume(self, channels: Iterable[str]) -> None:
        """See the contract."""
        with self._lock:
            self._queues.resume(channels)

    # Flush and statistics.

    def flush(self) -> None:
        """See the contract."""
        with self._lock:
            for part in (self._queues, self._groups, self._turns, self._values):
                part.clear()
            for owned in (self._processes, self._in_flight, self._letters):
                owned.clear()

    def global_statistics(self) -> dict[str, int]:
        """See the contract."""
        with self._lock:
            return self._queues.totals()

    def channel_statistics(self, channel: str) -> dict[str, float]:
        """See the contract."""
        names.check_channel(channel)
        with self._lock:
            return self._queues.statistics(channel)

    # All of these run under the lock.

    def _check_actor(self) -> None:
        if process := acting_process():
            self._processes.check(process)

    def _sweep(self, process: Process) -> Sweep:
        rules = Rules(process, self.is_at_least_once, self.max_deliveries)
        parts = (self._queues, self._groups, self._turns, self._processes, self._in_flight, self._letters)
        return Sweep(*parts, process, rules)

    def _tidy(self, now: float) -> None:
        """Drop what has expired where nobody looks any more, so that memory does not grow."""
        self._next_tidying = now + self.expiry
        self._queues.forget(now)
        self._groups.forget(now)
        self._processes.forget(now)
        self._turns.forget()
        self._values.forget()
