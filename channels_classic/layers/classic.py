"""The classic calls of a channel layer (specification, section 3), built on the batch calls of the contract."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from channels_classic.layers import codec, names
from channels_classic.layers.contract import LayerContract
from channels_classic.layers.exceptions import ChannelFull, LayerUnavailable, MessageTooLarge
from channels_classic.layers.types import Delivery, quick_delivery

BLOCK_SECONDS = 5.0
"""Seconds that ``receive(block=True)`` waits at most. The specification asks for a few seconds."""


class Stamp(Protocol):
    """What adds a field to messages."""

    def __call__(self, name: str, content: dict[str, Any], to_group: bool = False, /) -> dict[str, Any]:
        """The message to be sent to a channel or a group of that name; ``content`` stays as it is."""


class ClassicCalls(LayerContract):
    """``send``, ``receive`` and the other calls that handle one message at a time."""

    ChannelFull = ChannelFull
    MessageTooLarge = MessageTooLarge

    stamp: Stamp | None = None
    """Adds to each message what is to travel with it, such as the context of a trace. Tracing sets it, for a layer
    or for all."""

    @abstractmethod
    def capacity_of(self, channel: str) -> int:
        """How many messages the queue of ``channel`` holds."""

    def send(self, channel: str, message: dict[str, Any]) -> None:
        """Append ``message`` to ``channel``.

        Raises:
            ChannelFull: the channel is at its capacity.
            MessageTooLarge: the message takes more than 1 MiB as JSON.
            TypeError: the name is not valid, or the message holds something that a layer cannot carry.
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
        """Take the next message from any of ``channels``.

        Arguments:
            channels: channel names; for a process-specific channel, the part up to and including the ``!``.
            block: whether to wait up to ``BLOCK_SECONDS`` for a message.

        Returns:
            ``(channel, message)``, or ``(None, None)`` if there is none.

        Raises:
            LayerUnavailable: as ``receive_batch``. Or a message to a group came for several members, and those
                that this call cannot return could not be given back: then ``received`` has all of them.
        """
        batch = self.receive_batch(channels, 1, BLOCK_SECONDS if block else 0)
        if not batch:
            return None, None
        received = batch[0]
        if len(batch) > 1:  # a message to a group that has several members in this process
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
        """Make a channel name that nobody uses.

        Arguments:
            pattern: a name that ends in ``?`` (for a single-reader channel) or ``!`` (process-specific). A random
                part is appended.
        """
        return names.new_channel_name(pattern)

    # What projects ask a layer about names.

    def valid_channel_name(self, name: Any, receive: bool = False) -> bool:
        """``True`` if ``name`` is valid to send to or, with ``receive``, to receive on.

        Raises:
            TypeError: it is not.
        """
        (names.check_receivable if receive else names.check_channel)(name)
        return True

    def valid_channel_names(self, names: Iterable[Any], receive: bool = False) -> bool:
        """``True`` if all of ``names`` are valid.

        Raises:
            TypeError: one of them is not.
        """
        return all(self.valid_channel_name(name, receive) for name in names)

    def valid_group_name(self, name: Any) -> bool:
        """``True`` if ``name`` is the valid name of a group.

        Raises:
            TypeError: it is not.
        """
        names.check_group(name)
        return True

    def non_local_name(self, name: str) -> str:
        """The queue for messages to ``name``: the part up to and including the ``!``, if it has one."""
        return names.queue_name(name)

    def get_capacity(self, channel: str) -> int:
        """The old name of ``capacity_of``."""
        return self.capacity_of(channel)

    # Prepared messages.

    def prepare(self, channel: str, message: dict[str, Any], *, checked: bool = False) -> Delivery:
        """Check and pack ``message``, so that in a batch only a full channel can refuse it.

        Arguments:
            checked: the caller vouches for the form of name and message; only the size is checked.

        Raises:
            MessageTooLarge, TypeError: as ``send``.
        """
        if not checked:
            names.check_channel(channel)
            codec.check_message(message)
        payload = codec.pack(message) if self.stamp is None else self._packed(channel, message)
        return quick_delivery((channel, payload, False, None, None))

    def send_now(self, delivery: Delivery) -> None:
        """Send one prepared message.

        Raises:
            ChannelFull: the channel is at its capacity.
        """
        if self.send_batch([delivery]):
            raise ChannelFull(self.full_text(delivery.name))

    def full_text(self, channel: str) -> str:
        """The text of an error about a full channel: the cause, and what to change."""
        return (
            f"Channel {channel!r} is full: it holds {self.capacity_of(channel)} messages. Run more workers, "
            "or raise capacity or channel_capacity in the CONFIG of the channel layer."
        )

    def prepare_group(self, group: str, message: dict[str, Any]) -> Delivery:
        """As ``prepare``, for ``send_group``."""
        names.check_group(group)
        codec.check_message(message)
        payload = codec.pack(message) if self.stamp is None else self._packed(group, message, True)
        return Delivery(group, payload, True)

    def _packed(self, name: str, message: dict[str, Any], to_group: bool = False) -> bytes:
        """A message with its stamp; without it, if it is too large with it."""
        assert self.stamp is not None
        try:
            return codec.pack(self.stamp(name, message, to_group))
        except MessageTooLarge:
            return codec.pack(message)
