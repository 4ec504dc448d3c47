"""The contract of a channel layer: what a layer implements.

Batches make a layer fast; ``classic.py`` builds the classic calls on them. A layer is a subclass of
``BaseChannelLayer`` (``base.py``). ``channels_classic.layers.conformance`` tests a layer against this contract.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from channels_classic.layers.exceptions import LayerUnavailable
from channels_classic.layers.group_sizes import NO_GROUPS, GroupSizes
from channels_classic.layers.takers import Taker
from channels_classic.layers.tracking import ProcessCalls
from channels_classic.layers.types import Delivery, Received, Turn, TurnEnd


class LayerContract(ProcessCalls):
    """A transport of messages between processes."""

    extensions: ClassVar[list[str]] = ["groups", "flush", "statistics"]

    local_only: ClassVar[bool] = False
    """Whether the layer works inside one process only, so that a separate worker would never see a message."""

    has_receiver: bool = True
    """Whether anybody receives from the layer, as far as it can know. A layer inside one process can."""

    # Batches.

    @abstractmethod
    def send_batch(self, deliveries: Sequence[Delivery]) -> list[int]:
        """Append messages to their channels, in the order given.

        A channel that has refused a message also refuses the later ones of the same batch. So the order stays as
        it was when the sender tries the refused messages again. Full members of a group are skipped.

        Returns:
            The positions in ``deliveries`` of the messages that found their channel full.

        Raises:
            LayerUnavailable: the server behind the layer does not answer.
        """

    @abstractmethod
    def receive_batch(
        self, channels: Sequence[str], limit: int, timeout: float = 0, taker: Taker | None = None
    ) -> list[Received]:
        """Take messages from any of ``channels``. A busy channel does not starve the others.

        Messages that were taken out of the layer always reach the caller: if a later part of the call fails, they
        are returned all the same, and the next call raises the error if it lasts.

        Arguments:
            channels: names as in ``receive``.
            limit: the largest number of messages. A message to a group counts once, and is returned once per
                member.
            timeout: seconds to wait for the first message.
            taker: made by ``layer.taker``. What it takes from normal channels is in-flight until it receives
                again; with this call it is done with what it received before.

        Raises:
            LayerUnavailable: the server behind the layer does not answer, and nothing was taken.
        """

    @abstractmethod
    def give_back(self, batch: Sequence[Received], taker: Taker | None = None) -> None:
        """Put messages back, in front of their channels, that were received and not started.

        Arguments:
            taker: the taker that received them, if there was one. They are no longer in-flight; the rest of its
                batch is.
        """

    @abstractmethod
    def group_add(self, group: str, channel: str) -> None:
        """Make ``channel`` a member of ``group`` for ``group_expiry`` seconds from now."""

    @abstractmethod
    def group_discard(self, group: str, channel: str) -> None:
        """End the membership of ``channel`` in ``group``, if there is one."""

    @abstractmethod
    def group_channels(self, group: str) -> list[str]:
        """The members of ``group``."""

    @abstractmethod
    def release(self, channels: Iterable[str]) -> None:
        """End all memberships of process-specific channels that this process no longer receives on."""

    @abstractmethod
    def pause(self, channels: Iterable[str]) -> None:
        """Make process-specific channels of this process refuse messages, as if they were full.

        So a client that reads slowly holds up its own senders, and nobody else.
        """

    @abstractmethod
    def resume(self, channels: Iterable[str]) -> None:
        """End ``pause``."""

    # What an interface server does for the memberships of its clients.

    def joined(self) -> list[str]:
        """The channels of this process that are in groups, as far as it knows without asking a server."""
        return []

    def group_sizes(self) -> GroupSizes:
        """The sizes of the groups of this process's channels, as far as it knows without asking a server."""
        return NO_GROUPS

    def renew(self, channels: Iterable[str]) -> None:
        """Renew the memberships of channels of this process: they last for ``group_expiry`` from now.

        A layer with a server also compares: a membership that the process has and the server lacks, twice in a
        row, is made again.
        """

    @property
    def losses(self) -> int:
        """How many times this process has noticed that a server behind the layer had lost its data."""
        return 0

    def repair(self) -> None:
        """Restore what the server behind the layer has lost of this process, above all its memberships.

        An interface server calls it after an outage, before it sends anything else.

        Raises:
            LayerUnavailable: the server behind the layer does not answer.
        """

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

    def enter_turn(self, turn: Turn, message: dict[str, Any]) -> bool:
        """Ask whether it is a message's turn among the messages of its client.

        The layer keeps a message that came too early, and puts it in front of its channel when its turn has come.
        It drops a message that came twice or too late. ``send_batch`` with an ``end_of_turn`` ends the turn;
        otherwise the turn ends by itself after a while.

        A caller that got no answer, because the layer became unavailable, asks again with the same token. The
        message is handled once, whether or not the first question had arrived.

        Arguments:
            turn: the turn that the message asks for.
            message: its content.

        Returns:
            Whether to handle the message now. If not, the caller forgets it: the layer has it.

        Raises:
            ChannelFull: the message was dropped, because the messages of its client that wait already are too many
            or too large.
            LayerUnavailable: the server behind the layer does not answer.
            NotImplementedError: the layer lacks the extension.
            TypeError, ValueError: an argument is not valid.
        """
        raise lacks(self, "ordering")

    def suspend_turn(self, turn: Turn) -> None:
        """Give a turn up for now: its message goes back to its channel and asks again, and later ones wait for it.

        A second call for the same turn changes nothing, even if another copy of the message, with another token,
        has entered in between.

        Arguments:
            turn: the same as in ``enter_turn``.
        """
        raise lacks(self, "ordering")

    def resume_turns(self, orders: Mapping[str, int], settled: bool = False) -> None:
        """Let clients go on whose turns the server behind the layer has lost.

        An interface server calls this after an outage, before it sends anything else. It calls it again with
        ``settled``, a moment after it has noticed that the server lost data.

        Arguments:
            orders: for the reply channel of each connected client, the order of the first message that the layer
                has not taken yet. The layer does not wait for earlier messages of which the server knows nothing.
            settled: whether the earlier messages are certainly in no queue any more. Then the layer does not wait
                for them either if the server knows the client, unless they run, or wait for their turn.

        Raises:
            LayerUnavailable: the server behind the layer does not answer.
        """

    def end_of_turn(self, reply_channel: str, order: int, *, last: bool = False) -> Delivery:
        """Make the delivery that ends a turn. Send it behind the messages of the consumer.

        To send it twice has the effect of once, however late the second one is.

        Arguments:
            last: whether nothing comes from that client any more.
        """
        return Delivery(reply_channel, b"", turn_end=TurnEnd(order, last))

    # The extension "values": named values that are kept for a limited time.

    def get_value(self, name: str) -> tuple[bytes, float] | None:
        """The value with this name and the seconds until it ends, or ``None`` if there is none."""
        raise lacks(self, "values")

    def set_value(self, name: str, value: bytes, seconds: float, replace: bool) -> bool:
        """Keep ``value`` under ``name`` for ``seconds``.

        Arguments:
            replace: true to replace a value only if there is one; false to set it only if there is none.

        Returns:
            Whether the value was set.
        """
        raise lacks(self, "values")

    def keep_value(self, name: str, seconds: float) -> None:
        """Make a value, if there is one, end in ``seconds`` from now."""
        raise lacks(self, "values")

    def delete_value(self, name: str) -> None:
        """Drop a value, if there is one."""
        raise lacks(self, "values")

    def send_and_receive(
        self,
        deliveries: Sequence[Delivery],
        channels: Sequence[str],
        limit: int,
        timeout: float = 0,
        taker: Taker | None = None,
    ) -> tuple[list[int], list[Received]]:
        """``send_batch``, then ``receive_batch``, in one round trip to a server.

        Arguments:
            timeout: seconds to wait for the first message. The call does not wait if a message was refused.
            taker: as in ``receive_batch``, but without ``channels`` it is not done with its batch yet. With a
                taker, ends of turns are carried out only if no message of the same call was refused. Otherwise
                their positions are returned as well, and you send them again.

        Raises:
            Lapsed: the taker's process was declared dead. Nothing was sent and nothing was taken.
            LayerUnavailable: ``deliveries`` could not be sent; ``nothing_done`` tells about them, and ``received``
                has what was taken in the same round trip. If it is ``repeatable``, a taker may repeat the call
                with the same messages at the same positions; the ends of turns behind them may be others. If
                only receiving failed, the call returns, and the next one raises the error if it lasts. Without
                ``deliveries``, as ``receive_batch``.
        """
        full = self.send_batch(deliveries)
        try:
            return full, self.receive_batch(channels, limit, 0 if full else timeout)
        except LayerUnavailable:
            if not deliveries:
                raise
            return full, []

    def close(self) -> None:
        """Close the connections. The layer opens new ones when it is used again."""

    # The same for an event loop.

    @abstractmethod
    async def asend_batch(self, deliveries: Sequence[Delivery]) -> list[int]:
        """As ``send_batch``."""

    async def ataken_orders(self, process: str, channels: Sequence[str]) -> dict[str, int] | None:
        """Ask which messages of sockets the layer has taken, after the answer that told so was lost.

        Arguments:
            process: the name of the interface server process that has the sockets.
            channels: their reply channels.

        Returns:
            For each channel the order of its last message that was taken (``Delivery.client``). Channels that the
            layer does not know are missing. ``None`` if the layer does not keep this.

        Raises:
            LayerUnavailable: the server behind the layer does not answer.
        """
        return None

    @abstractmethod
    async def areceive_batch(self, channels: Sequence[str], limit: int, timeout: float) -> list[Received]:
        """As ``receive_batch``. A cancelled call gives back what it has taken, so nothing is lost.

        It may return nothing before the timeout if ``losses`` has changed, so that the caller can act on that.
        """

    async def areceive_own(self, process: str, limit: int, timeout: float) -> list[Received]:
        """As ``areceive_batch``, on the channel ``<process>!``, for the only reader of a process.

        A layer with a server keeps the messages until the next call. So none is lost, and none comes twice, if the
        connection breaks, or the call is cancelled. One call has to end before the next one begins.

        Arguments:
            process: the name of the process.
        """
        return await self.areceive_batch([f"{process}!"], limit, timeout)

    @abstractmethod
    async def agroup_add(self, group: str, channel: str) -> None:
        """As ``group_add``."""

    @abstractmethod
    async def agroup_discard(self, group: str, channel: str) -> None:
        """As ``group_discard``."""

    @abstractmethod
    async def arelease(self, channels: Iterable[str]) -> None:
        """As ``release``."""

    @abstractmethod
    async def arenew(self, channels: Iterable[str]) -> None:
        """As ``renew``."""

    @abstractmethod
    async def arepair(self) -> None:
        """As ``repair``."""

    @abstractmethod
    async def apause(self, channels: Iterable[str]) -> None:
        """As ``pause``."""

    async def aresume_turns(self, orders: Mapping[str, int], settled: bool = False) -> None:
        """As ``resume_turns``."""

    @abstractmethod
    async def aresume(self, channels: Iterable[str]) -> None:
        """As ``resume``."""

    async def aclose(self) -> None:
        """As ``close``, for the connections of this event loop."""


def lacks(layer: LayerContract, extension: str) -> NotImplementedError:
    """Make the error for a call that belongs to an extension which ``layer`` does not have."""
    return NotImplementedError(
        f"{type(layer).__name__} lacks the extension {extension!r}. InMemoryChannelLayer and RedisChannelLayer "
        "have it."
    )
