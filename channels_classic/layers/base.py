"""The contract of a channel layer: the classic calls, and the batches that make it fast.

A layer implements the batches; the classic calls of the specification, section 3, are made of them here.
``channels_classic.layers.conformance`` checks a layer against all of it.
"""

from __future__ import annotations

import asyncio
import copy
import fnmatch
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar, NamedTuple

from channels_classic.layers import codec, names
from channels_classic.layers.exceptions import ChannelFull, LayerUnavailable, MessageTooLarge
from channels_classic.layers.turns import LARGEST_ORDER, TurnEnd

BLOCK_SECONDS = 5.0
"""How long ``receive(block=True)`` waits: a few seconds, as the specification has it."""

THREAD_SECONDS = 0.2
"""How long a thread waits for an event loop at a stretch, because nobody can interrupt it."""

INTERFACE_PREFIX = "interface."
INTERFACE_CAPACITY = 10_000
"""The capacity of an interface server's own queue, whose name begins with ``INTERFACE_PREFIX``.

All of its clients share that one queue, and batches from several workers meet in it, so the capacity that
suits a single channel would refuse replies for no reason. What one client may pile up is bounded behind it.
"""


class Delivery(NamedTuple):
    """A message that has been checked and packed, ready for ``send_batch``.

    ``name`` is a channel or, with ``to_group``, a group. With ``turn_end`` it is no message, but the end of a
    turn of that reply channel.
    """

    name: str
    payload: bytes
    to_group: bool = False
    turn_end: TurnEnd | None = None


class Received(NamedTuple):
    """A message out of ``receive_batch``.

    ``content`` may be shared with other entries of the same batch (the members of a group): read it only.
    ``receipt`` is what ``give_back`` needs; it means something to the layer alone.
    """

    channel: str
    content: dict[str, Any]
    receipt: Any = None


class BaseChannelLayer(ABC):
    """A transport of messages between processes.

    Arguments:
        expiry: seconds after which a message that nobody received is dropped.
        group_expiry: seconds after which a group membership ends unless it was added again.
        capacity: how many messages a channel holds.
        channel_capacity: capacities of particular channels: a glob (``"http.*"``) or a compiled regular
            expression to a number; the first that matches counts.
    """

    extensions: ClassVar[list[str]] = ["groups", "flush", "statistics"]
    ChannelFull = ChannelFull
    MessageTooLarge = MessageTooLarge

    local_only: ClassVar[bool] = False
    """Whether the layer works inside one process only, so that a separate worker would never see a message."""

    def __init__(
        self,
        expiry: float = 60,
        group_expiry: float = 86400,
        capacity: int = 100,
        channel_capacity: Mapping[str | re.Pattern[str], int] | None = None,
    ) -> None:
        for keyword, value in (("expiry", expiry), ("group_expiry", group_expiry), ("capacity", capacity)):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
                raise ValueError(f"{keyword} of a channel layer must be a number above 0, not {value!r}.")
        self.expiry = expiry
        self.group_expiry = group_expiry
        self.capacity = capacity
        self.channel_capacity = dict(channel_capacity or {})
        self._capacity_patterns = [
            (re.compile(fnmatch.translate(pattern)) if isinstance(pattern, str) else pattern, limit)
            for pattern, limit in self.channel_capacity.items()
        ]
        self._capacities: dict[str, int] = {}

    # The batches, which a layer implements.

    @abstractmethod
    def send_batch(self, deliveries: Sequence[Delivery]) -> list[int]:
        """Append messages to their channels, in the order given.

        Once a channel has refused a message it refuses the later ones of the same batch too, so that a sender
        who tries the refused ones again keeps their order. Full members of a group are skipped.

        Returns:
            The positions of the messages whose channel was full.

        Raises:
            LayerUnavailable: the server behind the layer does not answer.
        """

    @abstractmethod
    def receive_batch(self, channels: Sequence[str], limit: int, timeout: float = 0) -> list[Received]:
        """Take messages from any of ``channels``, none of which starves another.

        What was taken out of the layer always comes to the caller: if a part of the call fails when messages were
        taken, these are returned. The next call meets the failure, if it lasts.

        Arguments:
            channels: names as in ``receive``.
            limit: how many messages at most; one to a group counts once, and comes out once per member.
            timeout: seconds to wait for the first message.

        Raises:
            LayerUnavailable: the server behind the layer does not answer, and nothing was taken.
        """

    @abstractmethod
    def give_back(self, batch: Sequence[Received]) -> None:
        """Put messages that were received but not used back where they came from, in front of all others."""

    @abstractmethod
    def group_add(self, group: str, channel: str) -> None:
        """Make ``channel`` a member of ``group`` for ``group_expiry`` seconds; again, if it is one already."""

    @abstractmethod
    def group_discard(self, group: str, channel: str) -> None:
        """End the membership of ``channel`` in ``group``, if there is one."""

    @abstractmethod
    def group_channels(self, group: str) -> list[str]:
        """The members of ``group``."""

    @abstractmethod
    def release(self, channels: Iterable[str]) -> None:
        """End all memberships of process-specific channels that this process received on and gives up."""

    @abstractmethod
    def pause(self, channels: Iterable[str]) -> None:
        """Let process-specific channels that this process receives on refuse messages, as if they were full.

        So a client that reads slowly holds up those who send to it, and nobody else.
        """

    @abstractmethod
    def resume(self, channels: Iterable[str]) -> None:
        """End ``pause``."""

    @abstractmethod
    def flush(self) -> None:
        """Empty the layer: messages, groups and statistics."""

    @abstractmethod
    def global_statistics(self) -> dict[str, int]:
        """``messages_count`` and ``channel_full_count``, over all channels."""

    @abstractmethod
    def channel_statistics(self, channel: str) -> dict[str, float]:
        """``messages_count``, ``channel_full_count``, ``messages_pending``, ``messages_max_age`` (seconds)."""

    # The extension "ordering".

    def enter_turn(
        self,
        reply_channel: str,
        order: int,
        channel: str,
        message: dict[str, Any],
        slight: bool = False,
        token: str = "",
    ) -> bool:
        """Ask whether a message may be handled now, as it is the turn of its ``order`` among those of its client.

        If it came too early the layer keeps it, and puts it in front of its channel when its turn has come. If it
        came twice, or too late, it is dropped. A turn ends by ``send_batch`` with ``end_of_turn``, or else by
        itself after a while.

        Whoever has no answer, because the layer became unavailable, asks again with the same token and handles
        the message if told so: it is handled once, whether or not the layer had seen the question before.

        Arguments:
            reply_channel: of the client.
            order: from 0, without gaps.
            channel: a normal channel, which the message came over.
            message: its content.
            slight: wait for the message of order 0 only; any other one is then no turn, and has no end.
            token: a word that nobody else uses; without one, asking again is coming twice.

        Returns:
            Whether to handle it; if not, there is nothing more to do.

        Raises:
            ChannelFull: it was dropped, because too many of its client's messages wait already, or too large ones.
            LayerUnavailable: the server behind the layer does not answer.
            NotImplementedError: the layer lacks the extension.
            TypeError, ValueError: an argument is not what it should be.
        """
        raise self._lacks("ordering")

    def suspend_turn(self, reply_channel: str, order: int, token: str = "") -> None:
        """The message of this turn goes back to its channel: it will ask again, and others wait for it.

        Arguments:
            token: the one that the message entered with. To suspend twice is to suspend once, even if another
                copy of the message has entered in between.
        """
        raise self._lacks("ordering")

    def end_of_turn(self, reply_channel: str, order: int, *, last: bool = False) -> Delivery:
        """What to send when a message that entered its turn has been handled, behind what its consumer sent.

        To send it twice is to send it once, however late.

        Arguments:
            last: nothing comes from that client any more.
        """
        return Delivery(reply_channel, b"", turn_end=TurnEnd(order, last))

    # The extension "values": what is no message, by name, for a while.

    def get_value(self, name: str) -> tuple[bytes, float] | None:
        """The value of that name and the seconds left to it, or ``None``."""
        raise self._lacks("values")

    def set_value(self, name: str, value: bytes, seconds: float, replace: bool) -> bool:
        """Keep a value for ``seconds``.

        Arguments:
            replace: only in the place of another one; if false, only where there is none.

        Returns:
            Whether that was so.
        """
        raise self._lacks("values")

    def keep_value(self, name: str, seconds: float) -> None:
        """Let a value, if there is one, end after ``seconds`` from now."""
        raise self._lacks("values")

    def delete_value(self, name: str) -> None:
        """Drop a value."""
        raise self._lacks("values")

    def send_and_receive(
        self, deliveries: Sequence[Delivery], channels: Sequence[str], limit: int
    ) -> tuple[list[int], list[Received]]:
        """``send_batch``, then ``receive_batch`` without waiting: one trip where the layer is a network away.

        Raises:
            LayerUnavailable: ``deliveries`` could not be sent, and its ``nothing_done`` is about them. Its
                ``received`` has what was taken in the same trip. If they were sent and only receiving failed, that
                is no error: the next call meets it. Without ``deliveries``, as ``receive_batch``.
        """
        full = self.send_batch(deliveries)
        try:
            return full, self.receive_batch(channels, limit)
        except LayerUnavailable:
            if not deliveries:
                raise
            return full, []

    def close(self) -> None:
        """Let go of connections; the layer opens new ones when it is used again."""

    # The same for an event loop. A layer that has better than a thread does better.

    async def asend_batch(self, deliveries: Sequence[Delivery]) -> list[int]:
        """As ``send_batch``."""
        return await asyncio.to_thread(self.send_batch, deliveries)

    async def areceive_batch(self, channels: Sequence[str], limit: int, timeout: float) -> list[Received]:
        """As ``receive_batch``. Nothing is lost when it is cancelled: what it takes by then is given back."""
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            wait = max(0.0, min(left, THREAD_SECONDS))
            receiving = asyncio.get_running_loop().run_in_executor(None, self.receive_batch, channels, limit, wait)
            try:
                batch = await asyncio.shield(receiving)
            except asyncio.CancelledError:
                with suppress(LayerUnavailable):
                    await asyncio.to_thread(self.give_back, await receiving)
                raise
            if batch or left <= THREAD_SECONDS:
                return batch

    async def arelease(self, channels: Iterable[str]) -> None:
        """As ``release``."""
        await asyncio.to_thread(self.release, list(channels))

    async def apause(self, channels: Iterable[str]) -> None:
        """As ``pause``."""
        await asyncio.to_thread(self.pause, list(channels))

    async def aresume(self, channels: Iterable[str]) -> None:
        """As ``resume``."""
        await asyncio.to_thread(self.resume, list(channels))

    async def aclose(self) -> None:
        """As ``close``, for what this event loop opened."""

    # The classic calls.

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

    # What the layers share.

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
        return Delivery(channel, self._payload(channel, codec.pack(message)))

    def _payload(self, channel: str, packed: bytes) -> bytes:
        return packed

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

    def check_turn(self, order: Any, channel: str) -> None:
        """Make sure that a message can wait for its turn.

        Raises:
            TypeError: the channel is not a normal one.
            ValueError: the order is no number from 0 on.
        """
        if isinstance(order, bool) or not isinstance(order, int) or not 0 <= order <= LARGEST_ORDER:
            raise ValueError(f"The order of a message must be an int, 0 or more and below 2**53, not {order!r}.")
        names.check_channel(channel)
        if "?" in channel or "!" in channel:
            raise TypeError(f"Messages of {channel!r} cannot be handled in order: it is no normal channel.")

    def check_channels(self, channels: Sequence[str]) -> list[str]:
        """The names as a list, each one fit for receiving.

        Raises:
            TypeError: one of them is not, or they came as a single str.
        """
        if isinstance(channels, str):
            raise TypeError(f"receive takes a list of channel names, not the str {channels!r}.")
        channels = list(channels)
        for channel in channels:
            names.check_receivable(channel)
        return channels

    def capacity_of(self, channel: str) -> int:
        """How many messages the queue of ``channel`` holds."""
        if not self._capacity_patterns:
            return self._default_capacity(channel)
        kind = names.kind_name(channel)
        capacity = self._capacities.get(kind)
        if capacity is None:
            matching = (limit for pattern, limit in self._capacity_patterns if pattern.match(channel))
            capacity = next(matching, self._default_capacity(channel))
            if len(self._capacities) > 1000:
                self._capacities.clear()
            self._capacities[kind] = capacity
        return capacity

    def _lacks(self, extension: str) -> NotImplementedError:
        return NotImplementedError(
            f"{type(self).__name__} lacks the extension {extension!r}. InMemoryChannelLayer and RedisChannelLayer "
            "have it."
        )

    def _default_capacity(self, channel: str) -> int:
        if channel.startswith(INTERFACE_PREFIX) and "!" in channel:
            return max(self.capacity, INTERFACE_CAPACITY)
        return self.capacity

    def _drop_left_over(self) -> None:
        pass
