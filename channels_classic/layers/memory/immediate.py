"""The asynchronous calls of the in-memory layer: the blocking calls never wait, so an event loop can make them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from channels_classic.layers.contract import LayerContract
from channels_classic.layers.types import Beat, Delivery, Lease, Process


class ImmediateCalls(LayerContract):
    """The asynchronous half of the contract, without receiving and sweeping, for a layer that never waits."""

    async def asend_batch(self, deliveries: Sequence[Delivery]) -> list[int]:
        """As ``send_batch``."""
        return self.send_batch(deliveries)

    async def agroup_add(self, group: str, channel: str) -> None:
        """As ``group_add``."""
        self.group_add(group, channel)

    async def agroup_discard(self, group: str, channel: str) -> None:
        """As ``group_discard``."""
        self.group_discard(group, channel)

    async def arelease(self, channels: Iterable[str]) -> None:
        """As ``release``."""
        self.release(channels)

    async def arenew(self, channels: Iterable[str]) -> None:
        """As ``renew``."""
        self.renew(channels)

    async def arepair(self) -> None:
        """Do nothing, because there is no server that could lose data."""

    async def apause(self, channels: Iterable[str]) -> None:
        """As ``pause``."""
        self.pause(channels)

    async def aresume(self, channels: Iterable[str]) -> None:
        """As ``resume``."""
        self.resume(channels)

    async def abeat(self, process: Process, leases: Sequence[Lease] = ()) -> Beat:
        """As ``beat``."""
        return self.beat(process, leases)

    async def adepart(self, process: Process) -> None:
        """As ``depart``."""
        self.depart(process)

    async def aregister_clients(self, process: str, clients: Mapping[str, tuple[int, bytes]]) -> None:
        """As ``register_clients``."""
        self.register_clients(process, clients)
