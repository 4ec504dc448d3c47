"""The asynchronous calls for a layer that has no asynchronous client: they run the blocking calls in threads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from channels_classic.layers.cancellation import to_the_end
from channels_classic.layers.contract import LayerContract
from channels_classic.layers.exceptions import LayerUnavailable
from channels_classic.layers.tracking import Started
from channels_classic.layers.types import Beat, Delivery, Lease, Process, Received, Swept

THREAD_SECONDS = 0.2
"""The longest time, in seconds, that one call in a thread waits, because such a call cannot be interrupted."""


class ThreadedCalls(LayerContract):
    """The asynchronous half of the contract, run in threads."""

    async def asend_batch(self, deliveries: Sequence[Delivery]) -> list[int]:
        """As ``send_batch``."""
        return await asyncio.to_thread(self.send_batch, deliveries)

    async def areceive_batch(self, channels: Sequence[str], limit: int, timeout: float) -> list[Received]:
        """As ``receive_batch``. A cancelled call gives back what it has taken, so nothing is lost."""
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            wait = max(0.0, min(left, THREAD_SECONDS))
            receiving = asyncio.get_running_loop().run_in_executor(None, self.receive_batch, channels, limit, wait)
            try:
                batch = await asyncio.shield(receiving)
            except asyncio.CancelledError:
                await to_the_end(self._give_back(receiving))
                raise
            if batch or left <= THREAD_SECONDS:
                return batch

    async def _give_back(self, receiving: asyncio.Future[list[Received]]) -> None:
        with suppress(LayerUnavailable):
            await asyncio.to_thread(self.give_back, await receiving)

    async def agroup_add(self, group: str, channel: str) -> None:
        """As ``group_add``."""
        await asyncio.to_thread(self.group_add, group, channel)

    async def agroup_discard(self, group: str, channel: str) -> None:
        """As ``group_discard``."""
        await asyncio.to_thread(self.group_discard, group, channel)

    async def arelease(self, channels: Iterable[str]) -> None:
        """As ``release``."""
        await asyncio.to_thread(self.release, list(channels))

    async def arenew(self, channels: Iterable[str]) -> None:
        """As ``renew``."""
        await asyncio.to_thread(self.renew, list(channels))

    async def arepair(self) -> None:
        """As ``repair``."""
        await asyncio.to_thread(self.repair)

    async def apause(self, channels: Iterable[str]) -> None:
        """As ``pause``."""
        await asyncio.to_thread(self.pause, list(channels))

    async def aresume(self, channels: Iterable[str]) -> None:
        """As ``resume``."""
        await asyncio.to_thread(self.resume, list(channels))

    async def abeat(self, process: Process, leases: Sequence[Lease] = ()) -> Beat:
        """As ``beat``."""
        return await asyncio.to_thread(self.beat, process, leases)

    async def adepart(self, process: Process) -> None:
        """As ``depart``."""
        await asyncio.to_thread(self.depart, process)

    async def asweep(self, process: Process, started: Started) -> Swept | None:
        """As ``sweep``."""
        return await asyncio.to_thread(self.sweep, process, started)

    async def aregister_clients(self, process: str, clients: Mapping[str, tuple[int, bytes]]) -> None:
        """As ``register_clients``."""
        await asyncio.to_thread(self.register_clients, process, clients)
