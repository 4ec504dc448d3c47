"""The channel layer of one process: for development, for tests, and for a first look."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from channels_classic.layers import codec, names
from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.memory.arrivals import Arrivals
from channels_classic.layers.memory.groups import Groups
from channels_classic.layers.memory.queues import Entry, Queues
from channels_classic.layers.memory.turns import Due, Turns
from channels_classic.layers.memory.values import Values
from channels_classic.layers.turns import check_turn, may_run
from channels_classic.layers.types import Delivery, Received, Turn


class InMemoryChannelLayer(BaseChannelLayer):
    """Keeps everything in this process; any of its threads and event loops may use it.

    Takes the keywords of ``BaseChannelLayer``. Waiting costs nothing: the sender wakes those who wait.
    """

    extensions: ClassVar[list[str]] = [*BaseChannelLayer.extensions, "ordering", "values"]
    local_only: ClassVar[bool] = True

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self._lock = threading.Lock()
        self._arrivals = Arrivals(self._lock)
        self._queues = Queues(self.expiry, self.capacity_of)
        self._groups = Groups(self.group_expiry)
        self._turns = Turns(self.expiry, self.group_expiry)
        self._values = Values()
        self._next_sweep = time.monotonic() + self.expiry

    # Messages.

    def send_batch(self, deliveries: Sequence[Delivery]) -> list[int]:
        """As the contract has it."""
        full: list[int] = []
        now = time.monotonic()
        with self._lock:
            if now > self._next_sweep:
                self._sweep(now)
            for position, delivery in enumerate(deliveries):
                if delivery.turn_end is not None:
                    self._put_in_front(self._turns.end(delivery.name, delivery.turn_end))
                elif delivery.to_group:
                    members = self._groups.members_by_queue(delivery.name, now)
                    self._queues.send_to_members(members, now, delivery.payload)
                elif not self._queues.send(delivery.name, Entry(now, (delivery.name,), delivery.payload)):
                    full.append(position)
            self._arrivals.tell()
        return full

    def receive_batch(self, channels: Sequence[str], limit: int, timeout: float = 0) -> list[Received]:
        """As the contract has it."""
        channels = names.check_all_receivable(channels)
        taken: list[Received] = []

        def take() -> bool:
            taken.extend(self._queues.take(channels, limit))
            return bool(taken)

        with self._lock:
            if not take() and timeout:
                self._arrivals.wait_for(take, timeout)
        return taken

    async def asend_batch(self, deliveries: Sequence[Delivery]) -> list[int]:
        """As the contract has it; never waits."""
        return self.send_batch(deliveries)

    async def areceive_batch(self, channels: Sequence[str], limit: int, timeout: float) -> list[Received]:
        """As the contract has it."""
        channels = names.check_all_receivable(channels)
        taken: list[Received] = []

        def take() -> bool:
            taken.extend(self._queues.take(channels, limit))
            return bool(taken)

        await self._arrivals.wait_until(take, asyncio.get_running_loop().time() + timeout)
        return taken

    def give_back(self, batch: Sequence[Received]) -> None:
        """As the contract has it."""
        with self._lock:
            self._queues.put_in_front([received.receipt for received in batch])
            self._arrivals.tell()

    # Groups.

    def group_add(self, group: str, channel: str) -> None:
        """As the contract has it."""
        names.check_group(group)
        names.check_channel(channel)
        with self._lock:
            self._groups.add(group, channel)

    def group_discard(self, group: str, channel: str) -> None:
        """As the contract has it."""
        names.check_group(group)
        names.check_channel(channel)
        with self._lock:
            self._groups.discard(group, channel)

    def group_channels(self, group: str) -> list[str]:
        """As the contract has it."""
        names.check_group(group)
        with self._lock:
            return self._groups.members(group, time.monotonic())

    def release(self, channels: Iterable[str]) -> None:
        """As the contract has it."""
        channels = list(channels)
        with self._lock:
            self._groups.release(channels)
            self._put_in_front(self._turns.release(channels))
            self._arrivals.tell()

    async def agroup_add(self, group: str, channel: str) -> None:
        """As the contract has it; never waits."""
        self.group_add(group, channel)

    async def agroup_discard(self, group: str, channel: str) -> None:
        """As the contract has it; never waits."""
        self.group_discard(group, channel)

    async def arelease(self, channels: Iterable[str]) -> None:
        """As the contract has it; never waits."""
        self.release(channels)

    def joined(self) -> list[str]:
        """As the contract has it."""
        with self._lock:
            return self._groups.joined()

    def renew(self, channels: Iterable[str]) -> None:
        """As the contract has it."""
        channels = list(channels)
        with self._lock:
            self._groups.renew(channels)

    async def arenew(self, channels: Iterable[str]) -> None:
        """As the contract has it; never waits."""
        self.renew(channels)

    async def arepair(self) -> None:
        """As the contract has it: there is nothing to lose."""

    # Turns.

    def enter_turn(self, turn: Turn, message: dict[str, Any]) -> bool:
        """As the contract has it."""
        check_turn(turn)
        payload = codec.pack(message)
        with self._lock:
            verdict, back = self._turns.enter(turn, payload)
            if back:
                self._put_in_front(back)
                self._arrivals.tell()
        return may_run(verdict, turn)

    def suspend_turn(self, turn: Turn) -> None:
        """As the contract has it."""
        with self._lock:
            self._turns.suspend(turn)

    # Values.

    def get_value(self, name: str) -> tuple[bytes, float] | None:
        """As the contract has it."""
        with self._lock:
            return self._values.get(name)

    def set_value(self, name: str, value: bytes, seconds: float, replace: bool) -> bool:
        """As the contract has it."""
        with self._lock:
            return self._values.set(name, value, seconds, replace)

    def keep_value(self, name: str, seconds: float) -> None:
        """As the contract has it."""
        with self._lock:
            self._values.keep(name, seconds)

    def delete_value(self, name: str) -> None:
        """As the contract has it."""
        with self._lock:
            self._values.delete(name)

    # Flow control.

    def pause(self, channels: Iterable[str]) -> None:
        """As the contract has it."""
        with self._lock:
            self._queues.pause(channels)

    async def apause(self, channels: Iterable[str]) -> None:
        """As the contract has it; never waits."""
        self.pause(channels)

    def resume(self, channels: Iterable[str]) -> None:
        """As the contract has it."""
        with self._lock:
            self._queues.resume(channels)

    async def aresume(self, channels: Iterable[str]) -> None:
        """As the contract has it; never waits."""
        self.resume(channels)

    # Flush and statistics.

    def flush(self) -> None:
        """As the contract has it."""
        with self._lock:
            for part in (self._queues, self._groups, self._turns, self._values):
                part.clear()

    def global_statistics(self) -> dict[str, int]:
        """As the contract has it."""
        with self._lock:
            return self._queues.totals()

    def channel_statistics(self, channel: str) -> dict[str, float]:
        """As the contract has it."""
        names.check_channel(channel)
        with self._lock:
            return self._queues.statistics(channel)

    # Both run under the lock.

    def _put_in_front(self, back: Sequence[Due]) -> None:
        now = time.monotonic()
        self._queues.put_in_front([Entry(now, (due.channel,), due.payload) for due in back])

    def _sweep(self, now: float) -> None:
        """Drop what expired where nobody looks any more, so that it does not add up."""
        self._next_sweep = now + self.expiry
        self._queues.sweep(now)
        self._groups.sweep(now)
        self._turns.forget()
        self._values.forget()
