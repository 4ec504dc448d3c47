"""One socket for each page, with two streams: the present rows, and each change."""

from collections.abc import Callable
from typing import Any

from channels_classic.generic.websockets import JsonWebsocketConsumer, WebsocketDemultiplexer
from channels_classic.message import Message
from channels_classic.security.websockets import allowed_hosts_only

from .bindings import GROUP, RowBinding
from .models import Row


class AllRows(JsonWebsocketConsumer):
    """Sends the present rows in the form of changes."""

    def connect(self, message: Message, multiplexer: Any = None, **kwargs: Any) -> None:
        binding = RowBinding()
        multiplexer.send([binding.serialize(row, "create") for row in Row.objects.all()])


class TableSocket(WebsocketDemultiplexer):
    strict_ordering = True
    groups = [GROUP]
    consumers = {"rows": RowBinding.consumer, "all": AllRows}

    def get_handler(self, message: Message, **kwargs: Any) -> Callable[..., Any]:
        handler = super().get_handler(message, **kwargs)
        return allowed_hosts_only(handler) if message.channel.name == "websocket.connect" else handler
