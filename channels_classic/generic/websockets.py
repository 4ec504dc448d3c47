"""Consumers of WebSockets: plain, with JSON, and several on one socket (specification, section 10)."""

from __future__ import annotations

import copy
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar

from channels_classic.asynchronous import around, one_after_another, rest_of
from channels_classic.auth import channel_and_http_session_user_from_http, channel_session_user_from_http
from channels_classic.channel import Channel, Group
from channels_classic.decorators import TURN
from channels_classic.exceptions import DenyConnection, SendNotAvailableOnDemultiplexer
from channels_classic.generic import frames
from channels_classic.generic.base import BaseConsumer
from channels_classic.generic.frames import BadFrame
from channels_classic.generic.multiplexer import WebsocketMultiplexer
from channels_classic.log import logger
from channels_classic.message import Message
from channels_classic.sessions import enforce_ordering
from channels_classic.unfinished import check_finished

__all__ = ["JsonWebsocketConsumer", "WebsocketConsumer", "WebsocketDemultiplexer", "WebsocketMultiplexer"]


class WebsocketConsumer(BaseConsumer):
    """A consumer of WebSockets: override ``connect``, ``receive`` and ``disconnect``."""

    method_mapping = {
        "websocket.connect": "raw_connect",
        "websocket.receive": "raw_receive",
        "websocket.disconnect": "raw_disconnect",
    }
    _synchronous = (*BaseConsumer._synchronous, "connection_groups")

    groups: Iterable[str] | None = None
    """The groups that a socket is in while it is open; see ``connection_groups``."""

    http_user = False
    """Whether the methods get ``message.user``, the user logged in on the site, and the channel session."""

    http_user_and_session = False
    """The same as ``http_user``, with ``message.http_session`` in all methods."""

    strict_ordering = False
    """Whether the messages of a socket are handled one after another, in order."""

    slight_ordering = False
    """Whether the first message of a socket is handled before all others."""

    path: str
    """The path that the client asked for."""

    def __init__(self, message: Message, **kwargs: Any) -> None:
        self.path = message.get("path", "")
        super().__init__(message, **kwargs)

    def get_handler(self, message: Message, **kwargs: Any) -> Callable[..., Any]:
        """The method for ``message``, decorated for users, sessions and ordering. Override it to add others."""
        handler = super().get_handler(message, **kwargs)
        if self.http_user_and_session:
            handler = channel_and_http_session_user_from_http(handler)
        elif self.http_user:
            handler = channel_session_user_from_http(handler)
        if self._wants("strict_ordering"):
            return enforce_ordering(handler)
        if self._wants("slight_ordering"):
            return enforce_ordering(handler, slight=True)
        return handler

    def _wants(self, ordering: str) -> bool:
        return bool(getattr(self, ordering))

    def connection_groups(self, **kwargs: Any) -> Iterable[str]:
        """The groups that this socket is in while it is open.

        The socket joins them before ``connect`` is called, so that it misses no message that is sent meanwhile. To
        refuse a socket before it is in any group, raise ``DenyConnection`` here.

        Arguments:
            kwargs: the named groups of the route's filters.
        """
        return self.groups or ()

    def raw_connect(self, message: Message, **kwargs: Any) -> Any:
        """Join the groups, then call ``connect``. If that raises, leave the groups."""
        groups = self._groups(message, kwargs)

        def connect() -> Any:
            for group in groups:
                group.add(self._reply_channel)
            return self.connect(message, **kwargs)

        def leave() -> None:
            for group in groups:
                group.discard(self._reply_channel)

        return around(connect, lambda error: None if error is None else leave)

    def raw_receive(self, message: Message, **kwargs: Any) -> Any:
        """Call ``receive`` with the text or the bytes of the frame."""
        text = message.get("text")
        if text is not None:
            return self.receive(text=text, **kwargs)
        return self.receive(bytes=message["bytes"], **kwargs)

    def raw_disconnect(self, message: Message, **kwargs: Any) -> Any:
        """Leave the groups, then call ``disconnect``."""
        # A socket that was denied has a disconnect too, and may be denied here again: it is in no group.
        with suppress(DenyConnection):
            for group in self._groups(message, kwargs):
                group.discard(self._reply_channel)
        return self.disconnect(message, **kwargs)

    def _groups(self, message: Message, kwargs: Mapping[str, Any]) -> list[Group]:
        names = self.connection_groups(**kwargs)
        if isinstance(names, str):
            raise TypeError(f"{type(self).__name__} must have a list of group names, not the str {names!r}.")
        return [Group(name, channel_layer=message.channel_layer) for name in names]

    def connect(self, message: Message, **kwargs: Any) -> Any:
        """Called when a client wants to connect. By default it accepts the socket.

        To refuse, raise ``DenyConnection``. If an override sends no answer, the socket is accepted, unless
        ``CHANNELS_EXPLICIT_ACCEPT`` is set.
        """
        if not self._is_multiplexed:
            self._reply_channel.send({"accept": True})

    def receive(self, text: str | None = None, bytes: bytes | None = None, **kwargs: Any) -> Any:
        """Called with each frame, which is either text or bytes. By default it does nothing."""

    def disconnect(self, message: Message, **kwargs: Any) -> Any:
        """Called when the client has left, or was refused. By default it does nothing.

        ``message["code"]`` is the close code.
        """

    def send(self, text: str | None = None, bytes: bytes | None = None, close: bool | int = False) -> None:
        """Send a frame to the client.

        Arguments:
            text: the content of a text frame; or
            bytes: the content of a binary frame.
            close: close the socket then: ``True``, or a close code.

        Raises:
            SendNotAvailableOnDemultiplexer: the socket is shared by streams; use ``multiplexer.send``.
            ValueError: neither text nor bytes.
        """
        if self._is_multiplexed:
            raise SendNotAvailableOnDemultiplexer(
                f"{type(self).__name__} is one stream of a WebsocketDemultiplexer here, and its frames have to "
                "name the stream: use multiplexer.send(payload), by the method's keyword argument 'multiplexer'."
            )
        self._reply_channel.send(_frame(text, bytes, close))

    @classmethod
    def group_send(
        cls, name: str, text: str | None = None, bytes: bytes | None = None, close: bool | int = False
    ) -> None:
        """Send a frame to each socket of a group on the default channel layer; arguments as for ``send``."""
        Group(name).send(_frame(text, bytes, close))

    def close(self, status: bool | int = True) -> None:
        """Close the socket, or refuse it if it is not open yet.

        Arguments:
            status: the close code: 1000, or one of your own from 3000 to 4999; ``True`` is 1000.
        """
        self._reply_channel.send({"close": status})

    @property
    def _is_multiplexed(self) -> bool:
        return isinstance(self.kwargs.get("multiplexer"), WebsocketMultiplexer)

    @property
    def _reply_channel(self) -> Channel:
        if self.message.reply_channel is None:
            raise ValueError(
                f"{type(self).__name__} takes messages of sockets, but this one has no reply_channel."
            )
        return self.message.reply_channel


def _frame(text: str | None, bytes: bytes | None, close: bool | int) -> dict[str, Any]:
    if text is None and bytes is None:
        raise ValueError("A frame needs text or bytes. To only close a socket, use close().")
    frame: dict[str, Any] = {"bytes": bytes} if text is None else {"text": text}
    if close:
        frame["close"] = close
    return frame


class JsonWebsocketConsumer(WebsocketConsumer):
    """A consumer of WebSockets whose frames are JSON.

    If a frame is not JSON, the client gets ``{"error": "…"}``, and ``receive`` is not called.
    """

    def raw_receive(self, message: Message, **kwargs: Any) -> Any:
        """Decode the frame for ``receive``."""
        text = message.get("text")
        if text is None:
            raise BadFrame("A frame here must be JSON in a text frame, but this was a binary frame.")
        try:
            content = self.decode_json(text)
        except json.JSONDecodeError as error:
            raise BadFrame(f"This frame is not JSON: {error}") from None
        except (ValueError, RecursionError):
            raise BadFrame("This frame is not JSON that can be read.") from None
        return self.receive(content, **kwargs)

    def receive(self, content: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """Called with the decoded content of each frame. By default it does nothing."""

    def send(self, content: Any, close: bool | int = False) -> None:  # type: ignore[override]
        """Send ``content`` to the client as JSON.

        Arguments:
            close: close the socket then: ``True``, or a close code.
        """
        super().send(text=self.encode_json(content), close=close)

    @classmethod
    def group_send(cls, name: str, content: Any, close: bool | int = False) -> None:  # type: ignore[override]
        """Send ``content`` as JSON to each socket of a group; arguments as for ``send``."""
        super().group_send(name, text=cls.encode_json(content), close=close)

    @classmethod
    def decode_json(cls, text: str) -> Any:
        """The decoded text of a frame. An override raises ``ValueError`` for text that it cannot read."""
        return frames.decode(text)

    @classmethod
    def encode_json(cls, content: Any) -> str:
        """``content`` as the text of a frame."""
        return frames.encode(content)


class WebsocketDemultiplexer(JsonWebsocketConsumer):
    """Several consumers on one socket, each with its own stream.

    Frames are ``{"stream": "…", "payload": {…}}`` in both directions. The consumer of a stream gets the payload as
    its frame, and a ``WebsocketMultiplexer`` as the keyword ``multiplexer``. All consumers are called with
    ``websocket.connect`` and ``websocket.disconnect``. If a frame names no stream of the socket, the client gets
    ``{"error": "…"}``.
    """

    consumers: Mapping[str, Callable[..., Any]] = {}
    """The names of streams, each with its consumer: a class such as ``JsonWebsocketConsumer``, or a function."""

    multiplexer_class: ClassVar[type[WebsocketMultiplexer]] = WebsocketMultiplexer
    """The class of the object that consumers get as ``multiplexer``."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if hasattr(cls, "mapping") and not cls.consumers:
            raise TypeError(
                f"{cls.__qualname__}.mapping, of streams and channels, was replaced in Channels 1.0. Name the "
                "consumer of each stream, as in consumers = {'stream': TheConsumer}, and remove the routes of the "
                "channels."
            )

    def _wants(self, ordering: str) -> bool:
        # Ordering applies to the whole socket: its messages are numbered, whatever their stream. A subclass that
        # calls its consumers itself may keep them in another form.
        consumers = self.consumers.values() if isinstance(self.consumers, Mapping) else self.consumers
        return super()._wants(ordering) or any(_wants(consumer, ordering) for consumer in consumers)

    def connect(self, message: Message, **kwargs: Any) -> Any:
        """Call all consumers with ``message``, then accept. So each of them can refuse the socket."""
        calls = [
            partial(self._call, stream, consumer, dict(message.content), kwargs)
            for stream, consumer in self.consumers.items()
        ]
        return one_after_another([*calls, lambda: self._reply_channel.send({"accept": True})])

    def receive(self, content: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """Call the consumer of the frame's stream.

        Raises:
            BadFrame: the frame names no stream of the socket, or its payload is not an object.
        """
        if not isinstance(content, dict) or "stream" not in content or "payload" not in content:
            raise BadFrame('A frame here must be an object with "stream" and "payload".')
        stream, payload = content["stream"], content["payload"]
        if not isinstance(stream, str) or stream not in self.consumers:
            raise BadFrame(f"There is no stream {frames.encode(stream):.100} here.")
        if not isinstance(payload, dict):
            raise BadFrame(f"The payload for stream {frames.encode(stream)} must be an object.")
        frame = {key: value for key, value in self.message.items() if key != "bytes"}
        return self._call(stream, self.consumers[stream], {**frame, "text": self.encode_json(payload)}, kwargs)

    def disconnect(self, message: Message, **kwargs: Any) -> Any:
        """Call all consumers with ``message``, even if one of them raises."""
        failures: list[Exception] = []

        def noting_failure(call: Callable[[], Any]) -> Any:
            try:
                rest = rest_of(call())
            except Exception as error:
                failures.append(error)
                return None
            return None if rest is None else _noting_failure(rest, failures)

        def raise_last() -> None:
            for failure in failures[:-1]:
                logger.error("Error in the consumer of a stream on websocket.disconnect:", exc_info=failure)
            if failures:
                raise failures[-1]

        calls = [
            partial(noting_failure, partial(self._call, stream, consumer, dict(message.content), kwargs))
            for stream, consumer in self.consumers.items()
        ]
        return one_after_another([*calls, raise_last])

    def _call(
        self, stream: str, consumer: Callable[..., Any], content: dict[str, Any], kwargs: dict[str, Any]
    ) -> Any:
        # Each stream gets a copy of the message, so its attributes are not visible to others. Sessions are shared.
        message = copy.copy(self.message)
        message.content = content
        multiplexer = self.multiplexer_class(stream, message.reply_channel)
        result = consumer(message, **{**kwargs, "multiplexer": multiplexer})
        if rest_of(result) is None:
            check_finished(result, repr(consumer))
        return result

    def send(self, *args: Any, **kwargs: Any) -> None:
        """Not available here, because a frame has to name its stream.

        Raises:
            SendNotAvailableOnDemultiplexer: always.
        """
        raise SendNotAvailableOnDemultiplexer("Use multiplexer.send(payload) in the consumer of a stream.")

    @classmethod
    def group_send(cls, *args: Any, **kwargs: Any) -> None:
        """Not available here, because a frame has to name its stream.

        Raises:
            SendNotAvailableOnDemultiplexer: always.
        """
        raise SendNotAvailableOnDemultiplexer("Use WebsocketMultiplexer.group_send(name, stream, payload).")


async def _noting_failure(rest: Awaitable[Any], failures: list[Exception]) -> None:
    try:
        await rest
    except Exception as error:
        failures.append(error)


def _wants(consumer: Callable[..., Any], ordering: str) -> bool:
    """Whether the consumer of a stream (a class, a function or a binding's method) needs ordering."""
    owner = getattr(consumer, "__self__", consumer)
    return bool(getattr(owner, ordering, False)) or getattr(consumer, TURN, None) is not None
