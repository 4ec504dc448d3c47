"""``AdaptedLayer``: a channel layer of this project with the asynchronous interface of Channels 4."""

from __future__ import annotations

import asyncio
import copy
import secrets
from collections.abc import Callable
from typing import Any

from channels_classic.backoff import Backoff
from channels_classic.channels4.exceptions import ChannelFull
from channels_classic.channels4.mailboxes import WAIT_SECONDS, Mailboxes
from channels_classic.layers import BaseChannelLayer, LayerUnavailable, Received, names
from channels_classic.log import logger

BATCH_LIMIT = 100
"""The most messages for process-specific channels that are taken at once."""

MOST_KINDS = 100
"""The number of kinds of classic messages without a type that are reported."""

IMMUTABLE = (str, bytes, int, float, bool, type(None))


class AdaptedLayer:
    """A channel layer for Channels 4 with the queues, groups and messages of a classic one.

    Arguments:
        find: returns the classic layer.
        classic_type: the ``type`` for messages without one, so that consumers of Channels 4 can handle messages
            for classic sockets. Without it they do not get such messages.
    """

    extensions = ("groups", "flush")

    def __init__(self, find: Callable[[], BaseChannelLayer], classic_type: str | None = None) -> None:
        if classic_type is not None and not (isinstance(classic_type, str) and classic_type):
            raise ValueError(f"classic_type must be a type such as 'classic.message', not {classic_type!r}.")
        self._find = find
        self._classic_type = classic_type
        self._mailboxes = Mailboxes(self._receive_for_process, self.get_capacity, find().expiry)
        self._losses = find().losses
        self._reported: set[tuple[str, ...]] = set()
        self.client_prefix = secrets.token_hex(8)
        """The part of a name that all process-specific channels of this process share."""

    @property
    def classic(self) -> BaseChannelLayer:
        """The classic layer, with the synchronous calls."""
        return self._find()

    @property
    def expiry(self) -> float:
        """Seconds after which a message that nobody has received is dropped."""
        return self.classic.expiry

    @property
    def group_expiry(self) -> float:
        """Seconds after which a membership ends unless it is renewed."""
        return self.classic.group_expiry

    @property
    def capacity(self) -> int:
        """The capacity of channels without a capacity of their own, in messages."""
        return self.classic.capacity

    def get_capacity(self, channel: str) -> int:
        """The capacity of ``channel``, in messages."""
        return self.classic.capacity_of(channel)

    # Messages.

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        """Append ``message`` to ``channel``.

        Raises:
            ChannelFull: the channel is at its capacity. Channels 4 and channels-classic both know the class.
            LayerUnavailable: the server behind the layer does not answer.
            MessageTooLarge: the message takes more than 1 MiB as JSON.
            TypeError: the name is not valid, or the message holds something that a layer cannot carry.
        """
        layer = self.classic
        if await layer.asend_batch([layer.prepare(channel, message)]):
            raise ChannelFull(layer.full_text(channel))

    async def receive(self, channel: str) -> dict[str, Any]:
        """Wait for the next message on ``channel``, through outages, too.

        Arguments:
            channel: a normal channel, or one that ``new_channel`` made.

        Raises:
            AssertionError: it is a process-specific channel of another process.
            TypeError: the name is not valid.
        """
        names.check_channel(channel)
        if "!" not in channel:
            while not (batch := await self._receive([channel], 1, WAIT_SECONDS)):
                pass
            return batch[0].content
        if not self._is_own(channel):
            raise AssertionError(
                f"{channel!r} cannot be received here: the layer of this process gives channels whose names have "
                f"'.{self.client_prefix}!' in them."
            )
        return _copy(await self._mailboxes.receive(channel))

    async def new_channel(self, prefix: str = "specific") -> str:
        """Make the name of a new channel that only this process receives on.

        Arguments:
            prefix: the beginning of the name.

        Raises:
            TypeError: a name cannot begin like this.
        """
        channel = f"{prefix}.{self.client_prefix}!{secrets.token_hex(8)}"
        names.check_channel(channel)
        return channel

    # Groups.

    async def group_add(self, group: str, channel: str) -> None:
        """Make ``channel`` a member of ``group``, or renew its membership."""
        await self.classic.agroup_add(group, channel)
        if self._is_own(channel):
            await self._mailboxes.look(channel)

    async def group_discard(self, group: str, channel: str) -> None:
        """End the membership of ``channel`` in ``group``, if there is one."""
        await self.classic.agroup_discard(group, channel)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        """Send ``message`` to every member of ``group``. Full members are skipped.

        Raises:
            LayerUnavailable, MessageTooLarge, TypeError: as ``send``.
        """
        layer = self.classic
        await layer.asend_batch([layer.prepare_group(group, message)])

    # Emptying and closing.

    async def flush(self) -> None:
        """Empty the layer, with the messages and groups of classic consumers, too."""
        await asyncio.to_thread(self.classic.flush)
        self._mailboxes.forget()

    async def close(self) -> None:
        """Close the connections of this event loop. Otherwise they close when the event loop ends."""
        await self.classic.aclose()

    close_pools = close
    """The name in channels_redis."""

    # Receiving.

    def _is_own(self, channel: str) -> bool:
        return names.queue_name(channel).endswith(f".{self.client_prefix}!")

    async def _receive_for_process(
        self, queue: str, timeout: float, is_wanted: Callable[[], bool]
    ) -> list[Received]:
        return await self._receive([queue], BATCH_LIMIT, timeout, is_wanted)

    async def _receive(
        self, channels: list[str], limit: int, timeout: float, is_wanted: Callable[[], bool] = lambda: True
    ) -> list[Received]:
        """Receive messages that consumers of Channels 4 can handle; there may be none.

        Arguments:
            is_wanted: whether anybody still waits for messages. If not, an outage ends the call.
        """
        backoff = Backoff()
        while True:
            layer = self.classic
            try:
                if layer.losses != self._losses:
                    # Redis has lost its data, so it gets the memberships again.
                    await layer.arepair()
                    self._losses = layer.losses
                batch = await layer.areceive_batch(channels, limit, timeout)
            except LayerUnavailable as error:
                if not is_wanted():
                    return []
                if not backoff.failures:
                    logger.warning("Nothing can be received for now; trying again. %s", error)
                await asyncio.sleep(backoff.fail())
                continue
            return [understood for received in batch if (understood := self._understand(received)) is not None]

    def _understand(self, received: Received) -> Received | None:
        content = received.content
        if isinstance(content.get("type"), str):
            return received
        if self._classic_type is not None:
            return received._replace(content={**content, "type": self._classic_type})
        keys = tuple(sorted(map(str, content)))
        if keys not in self._reported and len(self._reported) < MOST_KINDS:
            self._reported.add(keys)
            logger.warning(
                "A message for %r was dropped: it has no 'type', so it is for classic sockets, but a consumer of "
                "Channels 4 waits there. It has the keys %s. Send it with a type, or give the layer a "
                "classic_type. Others like this are not logged.",
                received.channel,
                ", ".join(map(repr, keys)) or "(none)",
            )
        return None


def _copy(message: dict[str, Any]) -> dict[str, Any]:
    """Copy a message, because the members of a group share one object."""
    if all(isinstance(value, IMMUTABLE) for value in message.values()):
        return dict(message)
    return copy.deepcopy(message)
