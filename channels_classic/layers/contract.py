"""The contract of a channel layer: what a layer implements.

The batches make a layer fast; the classic calls are made of them in ``classic.py``. A layer is a subclass of
``BaseChannelLayer`` (``base.py``), and ``channels_classic.layers.conformance`` checks it against all of this.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from channels_classic.layers.exceptions import LayerUnavailable
from channels_classic.layers.takers import Taker
from channels_classic.layers.tracking import ProcessCalls
from channels_classic.layers.types import Delivery, Received, Turn, TurnEnd


class LayerContract(ProcessCalls):
    """A transport of messages between processes."""

    extensions: ClassVar[list[str]] = ["groups", "flush", "statistics"]

    local_only: ClassVar[bool] = False
    """Whether the layer works inside one process only, so that a separate worker would never see a message."""

    has_receiver: bool = True
    """Whether anybody receives from it, as far as a layer can know: one inside a single process can."""

    # The batches.

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
    def receive_batch(
        self, channels: Sequence[str], limit: int, timeout: float = 0, taker: Taker | None = None
    ) -> list[Received]:
        """Take messages from any of ``channels``, none of which starves another.

        What was taken out of the layer always comes to the caller: if a part of the call fails when messages were
        taken, these are returned. The next call meets the failure, if it lasts.

        Arguments:
            channels: names as in ``receive``.
            limit: how many messages at most; one to a group counts once, and comes out once per member.
            timeout: seconds to wait for the first message.
            taker: out of ``layer.taker``: the messages of normal channels are in-flight from now on, until it
                receives again. It is done with those that it received before.

        Raises:
            LayerUnavailable: the server behind the layer does not answer, and nothing was taken.
        """

    @abstractmethod
    def give_back(self, batch: Sequence[Received], taker: Taker | None = None) -> None:
        """Put messages that were received but not used back where they came from, in front of all others.

        Arguments:
            taker: that received them, if it was one. They are in-flight no longer; the rest of its batch is.
        """

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

    # What an interface server does for the memberships of its clients.

    def joined(self) -> list[str]:
        """The process-specific channels of this process that are in groups, as far as it knows without asking."""
        return []

    def renew(self, channels: Iterable[str]) -> None:
        """Let the memberships that channels of this process have last for ``group_expiry`` from now on.

        A layer with a server behind it compares: what the server lacks and the process still has the second time
        is made again.
        """

    @property
    def losses(self) -> int:
        """How often this process has noticed that a server behind the layer had lost its data."""
        return 0

    def repair(self) -> None:
        """Tell the server behind the layer again what it has lost of this process, memberships above all.

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
        """Ask whether a message may be handled now, as it is the turn of its ``order`` among those of its client.

        If it came too early the layer keeps it, and puts it in front of its channel when its turn has come. If it
        came twice, or too late, it is dropped. A turn ends by ``send_batch`` with ``end_of_turn``, or else by
        itself after a while.

        A caller that got no answer, because the layer became unavailable, asks again with the same token. The
        message is handled once, whether or not the layer had seen the question before.

        Arguments:
            turn: what the message asks for.
            message: its content.

        Returns:
            Whether to handle it; if not, there is nothing more to do.

        Raises:
            ChannelFull: it was dropped, because too many of its client's messages wait already, or too large ones.
            LayerUnavailable: the server behind the layer does not answer.
            NotImplementedError: the layer lacks the extension.
            TypeError, ValueError: an argument is not what it should be.
        """
        raise lacks(self, "ordering")

    def suspend_turn(self, turn: Turn) -> None:
        """Give a turn up for now: its message goes back to its channel and asks again; later ones wait for it.

        Suspending twice has the effect of once, even if another copy of the message, with another token, has
        entered in between.

        Arguments:
            turn: as the message entered it.
        """
        raise lacks(self, "ordering")

    def resume_turns(self, orders: Mapping[str, int], settled: bool = False) -> None:
        """Let messages go on whose turns the server behind the layer has lost.

        An interface server calls it after an outage, before it sends anything else; and with ``settled`` a moment
        after it has noticed that the server lost data.

        Arguments:
            orders: for the reply channel of each client that is there, the order of the first message that the
                layer has not taken yet. What came before is not waited for, if the server knows nothing of it.
            settled: whether what came before is in no queue any more. Then it is not waited for either if the
                server knows the client, unless it runs, or waits for its turn.

        Raises:
            LayerUnavailable: the server behind the layer does not answer.
        """

    def end_of_turn(self, reply_channel: str, order: int, *, last: bool = False) -> Delivery:
        """Make the delivery that ends a turn. It is sent behind the messages of its consumer.

        To send it twice is to send it once, however late.

        Arguments:
            last: nothing comes from that client any more.
        """
        return Delivery(reply_channel, b"", turn_end=TurnEnd(order, last))

    # The extension "values": what is not a message, by name, for a while.

    def get_value(self, name: str) -> tuple[bytes, float] | None:
        """The value of that name and the seconds left to it, or ``None``."""
        raise lacks(self, "values")

    def set_value(self, name: str, value: bytes, seconds: float, replace: bool) -> bool:
        """Keep a value for ``seconds``.

        Arguments:
            replace: only in the place of another one; if false, only where there is none.

        Returns:
            Whether that was so.
        """
        raise lacks(self, "values")

    def keep_value(self, name: str, seconds: float) -> None:
        """Let a value, if there is one, end after ``seconds`` from now."""
        raise lacks(self, "values")

    def delete_value(self, name: str) -> None:
        """Drop a value."""
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
            timeout: seconds to wait for the first message. It does not wait if a message was refused.
            taker: as in ``receive_batch``; without ``channels`` it is not done with its batch yet. Ends of
                turns are then carried out only if no message of the same call was refused. Otherwise their
                positions come back as well, and they are to be sent again.

        Raises:
            Lapsed: the taker's process was declared dead. Nothing was sent and nothing was taken.
            LayerUnavailable: ``deliveries`` could not be sent, and its ``nothing_done`` is about them. Its
                ``received`` has what was taken in the same round trip. If they were sent and only receiving
                failed, that is not an error: the next call meets it. Without ``deliveries``, as ``receive_batch``.
        """
        full = self.send_batch(deliveries)
        try:
            return full, self.receive_batch(channels, limit, 0 if full else timeout)
        except LayerUnavailable:
            if not deliveries:
                raise
            return full, []

    def close(self) -> None:
        """Let go of connections; the layer opens new ones when it is used again."""

    # The same for an event loop.

    @abstractmethod
    async def asend_batch(self, deliveries: Sequence[Delivery]) -> list[int]:
        """As ``send_batch``."""

    async def ataken_orders(self, process: str, channels: Sequence[str]) -> dict[str, int] | None:
        """Which messages of sockets the layer has taken, when the answer that said so was lost.

        Arguments:
            process: the name of the interface server that has the sockets.
            channels: their reply channels.

        Returns:
            The order of the last message of each (``Delivery.client``); those that the layer knows nothing of are
            missing. ``None`` if the layer does not keep this.

        Raises:
            LayerUnavailable: the server behind the layer does not answer.
        """
        return None

    @abstractmethod
    async def areceive_batch(self, channels: Sequence[str], limit: int, timeout: float) -> list[Received]:
        """As ``receive_batch``. Nothing is lost when it is cancelled: what it takes by then is given back.

        It may return nothing before the time is up, when ``losses`` has changed: so the caller can act on that.
        """

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
        """As ``close``, for what this event loop opened."""


def lacks(layer: LayerContract, extension: str) -> NotImplementedError:
    """The error for a call of an extension that a layer does not have."""
    return NotImplementedError(
        f"{type(layer).__name__} lacks the extension {extension!r}. InMemoryChannelLayer and RedisChannelLayer "
        "have it."
    )
