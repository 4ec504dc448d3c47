"""Bindings of WebSockets: one stream of a demultiplexer each (specification, section 10)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from channels_classic import old_forms
from channels_classic.binding.base import Binding, Refused
from channels_classic.generic import frames
from channels_classic.generic.websockets import WebsocketDemultiplexer, WebsocketMultiplexer
from channels_classic.message import Message
from channels_classic.sessions import enforce_ordering

__all__ = ["WebsocketBinding", "WebsocketBindingWithMembers", "WebsocketDemultiplexer"]


class WebsocketBinding(Binding):
    """A binding for clients of WebSockets.

    Route it with ``consumers = {"stream": TheBinding.consumer}`` in a ``WebsocketDemultiplexer``. Clients get
    ``{"action", "pk", "data", "model"}``, and send ``{"action", "pk", "data"}``.
    """

    model = None

    strict_ordering = False
    """Whether the messages of a socket are handled one after another, in order."""

    slight_ordering = False
    """Whether the first message of a socket is handled before all others."""

    @classmethod
    def encode(cls, stream: str, payload: Any) -> dict[str, Any]:
        """The message for a group with a frame of the stream."""
        return WebsocketMultiplexer.encode(stream, payload)

    def serialize(self, instance: Any, action: str) -> dict[str, Any]:
        """The payload about ``instance``: the action, its key, its fields and its model."""
        return {
            "action": action,
            "pk": instance.pk,
            "data": self.serialize_data(instance),
            "model": self.model_label,
        }

    @classmethod
    def get_handler(cls) -> Callable[..., Any]:
        """``trigger_inbound`` with its session, user and ordering. Override it to add decorators."""
        handler = super().get_handler()
        if cls.strict_ordering:
            return enforce_ordering(handler)
        if cls.slight_ordering:
            return enforce_ordering(handler, slight=True)
        return handler

    @classmethod
    def trigger_inbound(cls, message: Message, **kwargs: Any) -> None:
        """Carry out a client's request; ignore sockets that connect and leave."""
        if message.channel.name not in ("websocket.connect", "websocket.disconnect"):
            super().trigger_inbound(message, **kwargs)

    def deserialize(self, message: Message) -> tuple[Any, Any, Any]:
        """The action, the primary key and the data of a frame's payload.

        Raises:
            Refused: the payload is not an object.
        """
        if old_forms.accepted and "text" not in message:  # before Channels 1.0, a binding had a channel of its own
            return message.get("action"), message.get("pk"), message.get("data")
        try:
            body = frames.decode(message["text"])
        except (KeyError, TypeError, ValueError, RecursionError):
            raise Refused("A request must be JSON.") from None
        if not isinstance(body, dict):
            raise Refused("A request must be an object.")
        return body.get("action"), body.get("pk"), body.get("data")


class WebsocketBindingWithMembers(WebsocketBinding):
    """A ``WebsocketBinding`` that also sends attributes, properties and methods that are not fields."""

    model = None

    send_members: Iterable[str] = ()
    """Their names. A method is called without arguments; ``"author.name"`` is sent as ``author__name``."""

    encoder = DjangoJSONEncoder()

    def serialize_data(self, instance: Any) -> dict[str, Any]:
        """The values of the fields and the members, as in JSON."""
        members = {}
        for path in self.send_members:
            value = instance
            for name in path.split("."):
                value = getattr(value, name)
            members[path.replace(".", "__")] = value() if callable(value) else value
        encoded: dict[str, Any] = frames.decode(self.encoder.encode(members))
        return {**super().serialize_data(instance), **encoded}
