"""Names that only old code uses. The finder adds them to the modules that had them."""

from __future__ import annotations

from typing import Any

from channels_classic import pending
from channels_classic.apps import ChannelsClassicConfig
from channels_classic.dotted import name_of


class ChannelsConfig(ChannelsClassicConfig):
    """The app, for an entry ``"channels.apps.ChannelsConfig"`` of ``INSTALLED_APPS``."""

    default = False  # Django must find one class only in channels_classic.apps, which has this one, too.


def name_that_thing(thing: Any) -> str:
    """The dotted name of a function, a method, a class, or the class of anything else."""
    return name_of(thing)


def wait_channel_name(reply_channel: str) -> str:
    """The channel on which messages of a client waited for their turn. Now they wait in the layer."""
    return f"__wait__.{reply_channel.replace('!', '?')}"


def requeue_messages(message: Any) -> None:
    """Do nothing: the messages of a client that wait for their turn come by themselves."""


class _Prepared(pending.PendingSends):
    """The sends since ``prepare``, outside a consumer."""

    __slots__ = ()


class PendingMessageStore:
    """The messages that the running consumer has sent, which go out when it is done."""

    def prepare(self, **kwargs: Any) -> None:
        """Let sends wait in this context from now on, as in a consumer, until ``send_and_flush``."""
        _Prepared().collect_here()

    @property
    def active(self) -> bool:
        """Whether a consumer runs in this context, so that sends wait for its end."""
        return pending.current() is not None

    def append(self, sender: Any, message: dict[str, Any]) -> None:
        """Send ``message`` to a ``Channel`` or a ``Group`` when the consumer is done."""
        sender.send(message)

    def send_and_flush(self, **kwargs: Any) -> None:
        """Send the waiting messages now, and not at the end of the consumer. End what ``prepare`` began.

        Raises:
            ChannelFull: a channel is full. The messages that were not sent still wait.
        """
        sends = pending.current()
        if sends is None:
            return
        while sends.deliveries:
            layer, delivery = sends.deliveries[0]
            layer.send_now(delivery)
            del sends.deliveries[0]
        while sends.calls:
            first, *sends.calls = sends.calls
            first.make()
        if isinstance(sends, _Prepared):
            sends.finish()


pending_message_store = PendingMessageStore()


class StopWorkerGroupLoop(Exception):
    """The exception that ended the loop of a worker group. Now ``run`` returns without it."""
