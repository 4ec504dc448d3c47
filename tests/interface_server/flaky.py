"""A channel layer that goes away and comes back on demand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from channels_classic.layers import Delivery, InMemoryChannelLayer, LayerUnavailable, Received
from channels_classic.layers.types import Beat, Lease, Process


class FlakyLayer(InMemoryChannelLayer):
    """A layer in memory whose ``outage`` stands for a server that is away."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self.outage: LayerUnavailable | None = None
        self.batches: list[list[str]] = []
        self.failures = 0

    def _check(self) -> None:
        if self.outage is not None:
            self.failures += 1
            raise self.outage

    async def asend_batch(self, deliveries: Sequence[Delivery]) -> list[int]:
        self._check()
        self.batches.append([delivery.name for delivery in deliveries])
        return await super().asend_batch(deliveries)

    async def areceive_batch(self, channels: Sequence[str], limit: int, timeout: float) -> list[Received]:
        self._check()
        return await super().areceive_batch(channels, limit, timeout)

    async def abeat(self, process: Process, leases: Sequence[Lease] = ()) -> Beat:
        self._check()
        return await super().abeat(process, leases)

    async def arelease(self, channels: Iterable[str]) -> None:
        self._check()
        await super().arelease(channels)

    async def apause(self, channels: Iterable[str]) -> None:
        self._check()
        await super().apause(channels)

    async def aresume(self, channels: Iterable[str]) -> None:
        self._check()
        await super().aresume(channels)
