"""The former ``asgiref.base_layer``: the base of channel layers that projects wrote themselves."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from channels_classic import layers
from channels_classic.layers import ChannelFull, Delivery, Received, Taker, codec
from channels_classic.layers.contract import lacks

PAUSE_SECONDS = 0.02
"""Seconds between two tries to receive from a layer whose ``receive`` does not wait, although it should."""


class BaseChannelLayer(layers.BaseChannelLayer):
    """A channel layer that has the classic calls only: ``send``, ``receive``, ``group_add`` and so on.

    A subclass defines these, as for Channels 1. The batch calls, which our servers and workers use, call them for
    one message after another.
    """

    extensions: ClassVar[list[str]] = []

    # Methods that a subclass defines.

    def send(self, channel: str, message: dict[str, Any]) -> None:
        """Append ``message`` to ``channel``, or raise ``ChannelFull``."""
        raise NotImplementedError(f"{type(self).__name__} has to define send(channel, message).")

    def receive(
        self, channels: Sequence[str], block: bool = False
    ) -> tuple[str, dict[str, Any]] | tuple[None, None]:
        """The next message of any of ``channels``, with its channel, or ``(None, None)``."""
        raise NotImplementedError(f"{type(self).__name__} has to define receive(channels, block).")

    def send_group(self, group: str, message: dict[str, Any]) -> None:
        """Send ``message`` to every member of ``group``."""
        raise lacks(self, "groups")

    def group_add(self, group: str, channel: str) -> None:
        """Make ``channel`` a member of ``group``."""
        raise lacks(self, "groups")

    def group_discard(self, group: str, channel: str) -> None:
        """End the membership of ``channel`` in ``group``."""
        raise lacks(self, "groups")

    def group_channels(self, group: str) -> list[str]:
        """The members of ``group``."""
        raise lacks(self, "groups")

    def flush(self) -> None:
        """Empty the layer."""
        raise lacks(self, "flush")

    def global_statistics(self) -> dict[str, int]:
        """Counts over all channels."""
        raise lacks(self, "statistics")

    def channel_statistics(self, channel: str) -> dict[str, float]:
        """Counts of one channel."""
        raise lacks(self, "statistics")

    # Batches.

    def send_batch(self, deliveries: Sequence[Delivery]) -> list[int]:
        """Send one message after another."""
        full: list[int] = []
        full_channels: set[str] = set()
        for position, delivery in enumerate(deliveries):
            if delivery.turn_end is not None:
                raise lacks(self, "ordering")
            if delivery.to_group:
                self.send_group(delivery.name, codec.unpack(delivery.payload))
                continue
            try:
                if delivery.name in full_channels:
                    raise ChannelFull
                self.send(delivery.name, codec.unpack(delivery.payload))
            except (ChannelFull, self.ChannelFull):
                full_channels.add(delivery.name)
                full.append(position)
        return full

    def receive_batch(
        self, channels: Sequence[str], limit: int, timeout: float = 0, taker: Taker | None = None
    ) -> list[Received]:
        """Receive one message after another, until there is none or the limit is reached."""
        deadline = time.monotonic() + timeout
        while True:
            channel, content = self.receive(list(channels), block=timeout > 0)
            if channel is not None and content is not None:
                break
            if time.monotonic() + PAUSE_SECONDS > deadline:
                return []
            time.sleep(PAUSE_SECONDS)
        batch = [Received(channel, content)]
        while len(batch) < limit:
            channel, content = self.receive(list(channels))
            if channel is None or content is None:
                break
            batch.append(Received(channel, content))
        return batch

    def give_back(self, batch: Sequence[Received], taker: Taker | None = None) -> None:
        """Send the messages again. There is no other way to put them back, so they come behind later ones."""
        for received in batch:
            self.send(received.channel, received.content)

    def release(self, channels: Iterable[str]) -> None:
        """Do nothing: the layer's data about these channels expires."""

    def pause(self, channels: Iterable[str]) -> None:
        """Do nothing: the capacity of the channels makes senders wait."""

    def resume(self, channels: Iterable[str]) -> None:
        """Do nothing, like ``pause``."""
