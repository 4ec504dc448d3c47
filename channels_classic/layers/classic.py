"""The classic calls of a channel layer (specification, section 3), made of the batches of the contract."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from channels_classic.layers import codec, names
from channels_classic.layers.contract import LayerContract
from channels_classic.layers.exceptions import ChannelFull, LayerUnavailable, MessageTooLarge
from channels_classic.layers.types import Delivery

BLOCK_SECONDS = 5.0
"""How long ``receive(block=True)`` waits: a few seconds, as the specification has it."""


class ClassicCalls(LayerContract):
    """``send``, ``receive`` and the others, one message at a time."""

    ChannelFull = ChannelFull
    MessageTooLarge = MessageTooLarge

    @abstractmethod
    def capacity_of(self, channel: str) -> int:
        """How many messages the queue of ``channel`` holds."""

    def send(self, channel: str, message: dict[str, Any]) -> None:
        """Append ``message`` to ``channel``.

        Raises:
            ChannelFull: the channel is at its capacity.
            MessageTooLarge: the message takes more than 1 MiB as JSON.
            TypeError: a bad name, or a message that no layer carries.
        """
        self.send_now(self.prepare(channel, message))

    def send_group(self, group: str, message: dict[str, Any]) -> None:
        """Send ``message`` to every member of ``group``; members that are full are skipped.

        Raises:
            MessageTooLarge, TypeError: as ``send``.
        """
        self.send_batch([self.prepare_group(group, message)])

    def receive(
        self, channels: Sequence[str], block: bool = False
    ) -> tuple[str, dict[str, Any]] | tuple[None, None]:
        """The next message of any of ``channels``, with its channel.

        Arguments:
            channels: names; of a process-specific channel the part up to and including the ``!``.
            block: wait up to ``BLOCK_SECONDS`` for one.

        Returns:
            ``(channel, message)``, or ``(None, None)`` if there is none.

        Raises:
            LayerUnavailable: as ``receive_batch``; or what came for a group was more than one message, and could
                not be put back: then ``received`` has it.
        """
        batch = self.receive_batch(channels, 1, BLOCK_SECONDS if block else 0)
        if not batch:
            return None, None
        received = batch[0]
        if len(batch) > 1:  # a message to a group, with more of its members in this process
            try:
                self.give_back(batch[1:])
            except LayerUnavailable as error:
                error.received = batch if error.nothing_done else batch[:1]
                raise
        return received.channel, copy.deepcopy(received.content)

    def receive_many(
        self, channels: Sequence[str], block: bool = False
    ) -> tuple[str, dict[str, Any]] | tuple[None, None]:
        """The old name of ``receive``."""
        return self.receive(channels, block)

    def new_channel(self, pattern: str) -> str:
        """A channel name that nobody uses.

        Arguments:
            pattern: a name that ends in ``?`` (single-reader) or ``!`` (process-specific).
        """
        return names.new_channel_name(pattern)

    # Prepared messages.

    def prepare(self, channel: str, message: dict[str, Any], *, checked: bool = False) -> Delivery:
        """Check and pack ``message``, so that a batch can fail for no reason but a full channel.

        Arguments:
            checked: name and message were made by the caller in the right form; only the size is looked at.

        Raises:
            MessageTooLarge, TypeError: as ``send``.
        """
        if not checked:
            names.check_channel(channel)
            codec.check_message(message)
        return Delivery(channel, codec.pack(message))

    def send_now(self, delivery: Delivery) -> None:
        """Send one prepared message.

        Raises:
            ChannelFull: the channel is at its capacity.
        """
        if self.send_batch([delivery]):
            raise ChannelFull(self.full_text(delivery.name))

    def full_text(self, channel: str) -> str:
        """What to tell people about a channel that is full: the cause, and what to change."""
        return (
            f"Channel {channel!r} is full: it holds {self.capacity_of(channel)} messages. Run more workers, "
            "or raise capacity or channel_capacity in the CONFIG of the channel layer."
        )

    def prepare_group(self, group: str, message: dict[str, Any]) -> Delivery:
        """As ``prepare``, for ``send_group``."""
        names.check_group(group)
        codec.check_message(message)
        return Delivery(group, codec.pack(message), True)
