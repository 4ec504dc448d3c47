"""Names that only old code uses. The finder adds them to the modules that had them."""

from __future__ import annotations

import logging
import threading
from typing import Any

from channels_classic import pending
from channels_classic.apps import ChannelsClassicConfig


class ChannelsConfig(ChannelsClassicConfig):
    """The app, for an entry ``"channels.apps.ChannelsConfig"`` of ``INSTALLED_APPS``."""

    default = False  # Django must find one class only in channels_classic.apps, which has this one, too.


def name_that_thing(thing: Any) -> str:
    """The dotted name of a function, a method, a class, or the class of anything else."""
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{named.__module__}.{named.__qualname__}"


def wait_channel_name(reply_channel: str) -> str:
    """The channel on which messages of a client waited for their turn. Now they wait in the layer."""
    return f"__wait__.{reply_channel.replace('!', '?')}"


class PendingMessageStore:
    """The messages that the running consumer has sent, which go out when it is done."""

    @property
    def active(self) -> bool:
        """Whether a consumer runs in this context, so that sends wait for its end."""
        return pending.current() is not None

    def append(self, sender: Any, message: dict[str, Any]) -> None:
        """Send ``message`` to a ``Channel`` or a ``Group`` when the consumer is done."""
        sender.send(message)

    def send_and_flush(self, **kwargs: Any) -> None:
        """Send the waiting messages now, and not at the end of the consumer.

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


pending_message_store = PendingMessageStore()


class StopWorkerGroupLoop(Exception):
    """The exception that ended the loop of a worker group. Now ``run`` returns without it."""


class WorkerThread(threading.Thread):
    """A worker in a thread of the process, until the process ends.

    Arguments:
        channel_layer: one of ``channel_layers``, with its router.
        logger: logs the start.
    """

    def __init__(self, channel_layer: Any, logger: logging.Logger) -> None:
        super().__init__(daemon=True)
        self.channel_layer = channel_layer
        self.logger = logger

    def run(self) -> None:
        """Run the worker."""
        from worker import Worker

        self.logger.info("Worker thread running")
        Worker(self.channel_layer, signal_handlers=False).run()
        self.logger.info("Worker thread exited")
