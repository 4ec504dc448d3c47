"""``WSClient``: a client with cookies, headers and a user, which sends messages like those of a socket."""

from __future__ import annotations

import json as json_module
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest

from channels_classic import DEFAULT_CHANNEL_LAYER
from channels_classic.exceptions import ConsumeLater, DenyConnection
from channels_classic.layers import Received
from channels_classic.message import Message
from channels_classic.old_forms import in_standard_form
from channels_classic.routing import Consumer
from channels_classic.sessions import session_for_reply_channel
from channels_classic.test.client import Client
from channels_classic.test.session import new_session
from interface_server.unknown_keys import UnknownKeys
from interface_server.websocket.conversation import BadMessage, Conversation

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser
    from django.contrib.sessions.backends.base import SessionBase

LATER_MESSAGES = ("websocket.receive", "websocket.disconnect")
"""The channels for messages of an open socket, which have no query string."""

ACCEPT_KEYS = {"accept", "headers", "subprotocol"}
"""The content of a message that accepts a socket and does nothing else."""


class WSClient(Client):
    """A client like a browser (specification, sections 4 and 11).

    It has its own session, and sends the cookie of that session, and its headers, with every message. A real
    client does so only with ``websocket.connect`` and ``http.request``.

    Arguments:
        alias: the alias in ``settings.CHANNEL_LAYERS`` of the client's layer.
        ordered: whether to number the messages: each has an ``order`` from 0 on, like those of a real socket.
    """

    def __init__(self, alias: str = DEFAULT_CHANNEL_LAYER, ordered: bool = False) -> None:
        super().__init__(alias)
        self.ordered = ordered
        self.order = 0
        self._cookies: dict[str, str] = {}
        self._headers: dict[str, str | bytes] = {}
        self._session: SessionBase | None = None
        self._checks_accept = True

    # Cookies, headers and sessions.

    def set_cookie(self, key: str, value: str) -> None:
        """Send this cookie with later messages."""
        self._cookies[key] = value

    def get_cookies(self) -> dict[str, str]:
        """The cookies, including that of the session if ``django.contrib.sessions`` is installed."""
        cookies = dict(self._cookies)
        if apps.is_installed("django.contrib.sessions") and self.session.session_key:
            cookies.setdefault(settings.SESSION_COOKIE_NAME, self.session.session_key)
        return cookies

    def set_header(self, key: str, value: str | bytes) -> None:
        """Send this header with later messages.

        Raises:
            ValueError: it is the header ``cookie``.
        """
        if key.lower() == "cookie":
            raise ValueError("A cookie is set by set_cookie(key, value), not by set_header.")
        self._headers[key.lower()] = value

    @property
    def headers(self) -> dict[str, bytes]:
        """The headers, including ``host`` and ``cookie``."""
        headers: dict[str, str | bytes] = {"host": "testserver", **self._headers}
        if cookies := SimpleCookie(self.get_cookies()):
            headers["cookie"] = "; ".join(f"{name}={cookie.coded_value}" for name, cookie in cookies.items())
        return {
            name: value.encode("latin-1") if isinstance(value, str) else value for name, value in headers.items()
        }

    @property
    def session(self) -> SessionBase:
        """The HTTP session with the key in the session cookie. Nothing is stored until you save it.

        Raises:
            ImproperlyConfigured: the app ``django.contrib.sessions`` is not installed.
        """
        if self._session is None:
            if not apps.is_installed("django.contrib.sessions"):
                raise ImproperlyConfigured("WSClient.session needs 'django.contrib.sessions' in INSTALLED_APPS.")
            self._session = new_session(settings.SESSION_ENGINE)
        return self._session

    @property
    def channel_session(self) -> Any:
        """The ``message.channel_session`` that consumers have stored. It is a new object each time.

        To change it, keep the object, and call its ``save_changes()``.
        """
        return session_for_reply_channel(self.reply_channel)

    def login(self, **credentials: Any) -> bool:
        """Log in as a view would: from now on the client's session belongs to the user.

        Returns:
            Whether the credentials belong to an active user.
        """
        from django.contrib.auth import authenticate

        user = authenticate(**credentials)
        if user is None or not user.is_active:
            return False
        self._login(user, None)
        return True

    def force_login(self, user: AbstractBaseUser, backend: str | None = None) -> None:
        """Log in as ``user`` without asking for credentials.

        Arguments:
            backend: the dotted path of an authentication backend. The default is the first one in the settings.
        """
        self._login(user, backend or settings.AUTHENTICATION_BACKENDS[0])

    def _login(self, user: Any, backend: str | None) -> None:
        from django.contrib.auth import login

        request = HttpRequest()
        request.session = self.session
        login(request, user, backend=backend)
        request.session.save()

    # Sending and receiving.

    def send(self, to: str, content: dict[str, Any] | None = None, text: Any = None, path: str = "/") -> None:
        """Send a message to the channel ``to``, with the keys that a real one has, unless ``content`` has them.

        Arguments:
            content: its headers may also be a dict, and its query string a ``str``.
            text: the text of a frame. Anything but a ``str`` is encoded as JSON.
            path: the path, which may have a query string after a ``?``.

        Raises:
            ValueError: ``content`` has an ``order``, but the client numbers its messages itself.
        """
        if to in LATER_MESSAGES:
            path = path.partition("?")[0]
        content = self._get_content(content, text, path)
        if to not in LATER_MESSAGES:
            content.setdefault("query_string", b"")
        if to == "http.request":
            content.setdefault("method", "GET")
        if to == "websocket.disconnect":
            content.setdefault("code", 1000)
        super().send(to, in_standard_form(content))

    def receive(self, json: bool = True) -> Any:
        """The next reply: its text, or the whole message if it has no text; ``None`` if there is no reply.

        Arguments:
            json: whether to decode the text, if it is a ``str``. (A test may send what a server would not.)
        """
        content = super().receive()
        if content is None or "text" not in content:
            return content
        text = content["text"]
        return json_module.loads(text) if json and isinstance(text, str) else text

    def consume(self, channel: str, fail_on_none: bool = True, check_accept: bool = True) -> Any:
        """As ``Client.consume``.

        Arguments:
            check_accept: on ``websocket.connect``, check that the socket is accepted, and hide a message that only
                accepts it from ``receive``. If the consumer puts the message back, nothing is decided yet, and the
                ``consume`` that runs it again does the check.

        Raises:
            AssertionError: the socket was rejected, got no answer, or was put back too often. ``receive`` gives
            the answer.
            DenyConnection: the consumer has rejected the socket with it.
        """
        self._checks_accept = check_accept
        return super().consume(channel, fail_on_none=fail_on_none)

    def send_and_consume(  # type: ignore[override]
        self,
        channel: str,
        content: dict[str, Any] | None = None,
        text: Any = None,
        path: str = "/",
        fail_on_none: bool = True,
        check_accept: bool = True,
    ) -> Any:
        """``send``, then ``consume``."""
        self.send(channel, content, text, path)
        return self.consume(channel, fail_on_none=fail_on_none, check_accept=check_accept)

    def _get_content(
        self, content: dict[str, Any] | None = None, text: Any = None, path: str = "/"
    ) -> dict[str, Any]:
        content = dict(content or {})
        content.setdefault("reply_channel", self.reply_channel)
        path, mark, query = path.partition("?")
        content.setdefault("path", path)
        if mark:
            content.setdefault("query_string", query)
        content.setdefault("headers", self.headers)
        if text is None:
            text = content.get("text")
        if text is not None:
            content["text"] = text if isinstance(text, str) else json_module.dumps(text)
        if self.ordered:
            if "order" in content:
                raise ValueError(
                    "WSClient(ordered=True) numbers its messages itself: leave 'order' out of the content."
                )
            content["order"] = self.order
            self.order += 1
        return content

    def _run(self, message: Message, consumer: Consumer, kwargs: dict[str, Any]) -> Any:
        if message.channel.name != "websocket.connect" or not self._checks_accept:
            return super()._run(message, consumer, kwargs)
        unread = self._take_replies()  # for example the answer to an earlier attempt, which the test has not read
        try:
            result = super()._run(message, consumer, kwargs)
            self._check_accept(message)
        finally:
            self.channel_layer.give_back([reply for reply in unread if not _only_accepts(reply.content)])
        return result

    def _take_replies(self) -> list[Received]:
        layer = self.channel_layer
        return list(layer.receive_batch([self.reply_channel], limit=layer.capacity_of(self.reply_channel)))

    def _check_accept(self, message: Message) -> None:
        if isinstance(self._ended_by, DenyConnection):
            raise self._ended_by
        replies = self._take_replies()
        if not replies and isinstance(self._ended_by, ConsumeLater):
            if not message.__doomed__:  # type: ignore[attr-defined]
                return
        problem = self._why_not_accepted(replies[0].content if replies else None)
        self.channel_layer.give_back([reply for reply in replies if problem or not _only_accepts(reply.content)])
        if problem:
            raise AssertionError(problem)

    def _why_not_accepted(self, answer: dict[str, Any] | None) -> str | None:
        if answer is None and self._ended_by is not None:
            return (
                "Connection rejected: the consumer of websocket.connect has raised ConsumeLater so often that a "
                "worker drops the message."
            )
        if answer is None:
            return (
                "Connection rejected: the consumer of websocket.connect did not answer, and with "
                "CHANNELS_EXPLICIT_ACCEPT it has to."
            )
        offered = self.headers.get("sec-websocket-protocol", b"").decode("latin-1").split(",")
        conversation = Conversation([name.strip() for name in offered])
        try:
            conversation.feed(answer)
        except (BadMessage, UnknownKeys) as error:
            return f"Connection rejected: {answer!r} does not accept it. {error}."
        return None if conversation.accepted else f"Connection rejected: {answer!r} != '{{accept: True}}'"


def _only_accepts(answer: dict[str, Any]) -> bool:
    return answer.get("accept") is True and answer.keys() <= ACCEPT_KEYS


HttpClient = WSClient
"""The older name."""
