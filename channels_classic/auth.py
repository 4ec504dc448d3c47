"""Users for consumers (specification, section 8).

``message.user`` is determined when it is first used, again for each message: a user who has logged out or changed
the password is ``AnonymousUser`` from the next message on. No function here changes or deletes a session for that,
because no cookie can be set over an open socket.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from channels_classic.asynchronous import around
from channels_classic.decorators import Consume, consumer_decorator
from channels_classic.message import Message
from channels_classic.sessions.decorators import (
    channel_and_http_session,
    channel_session,
    http_session,
    with_both_sessions,
    with_http_session,
)
from channels_classic.sessions.store import ChannelSession, http_session_for, with_channel_session

__all__ = [
    "channel_and_http_session",
    "channel_and_http_session_user_from_http",
    "channel_session",
    "channel_session_user",
    "channel_session_user_from_http",
    "http_session",
    "http_session_user",
    "transfer_user",
]

SOURCE_KEY = "_auth_http_session_key"
"""The key, in a session that got its user by ``transfer_user``, of the HTTP session that the user came from."""

USER_KEYS = (SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY, SOURCE_KEY)


def transfer_user(from_session: Any, to_session: Any) -> None:
    """Give ``to_session`` the user of ``from_session``, or no user if ``from_session`` has none or is ``None``.

    A channel session that gets its user from an HTTP session depends on that session: the user is valid only while
    the HTTP session exists and still belongs to the same user.
    """
    user = {}
    if from_session is not None and SESSION_KEY in from_session:
        user = {key: from_session[key] for key in USER_KEYS if key in from_session}
        if not isinstance(from_session, ChannelSession) and from_session.session_key:
            user[SOURCE_KEY] = from_session.session_key
    for key in USER_KEYS:
        if key not in user:
            if key in to_session:
                del to_session[key]
        elif to_session.get(key) != user[key]:  # so that a session that does not change is not saved
            to_session[key] = user[key]


def _forget_source(request: Any = None, **kwargs: Any) -> None:
    # A login over the socket does not depend on any HTTP session. Django keeps the data of a session of the same
    # user.
    session = getattr(request, "session", None)
    if isinstance(session, ChannelSession):
        session.pop(SOURCE_KEY, None)


user_logged_in.connect(_forget_source, dispatch_uid="channels_classic.auth")


@consumer_decorator
def http_session_user(message: Message, consume: Consume) -> Any:
    """Give the consumer ``message.http_session``, and its user as ``message.user``."""

    def with_user() -> Any:
        return _with_user(message, lambda: user_of(message.http_session), consume)

    return with_http_session(message, with_user)


@consumer_decorator
def channel_session_user(message: Message, consume: Consume) -> Any:
    """Give the consumer ``message.channel_session``, and its user as ``message.user``.

    ``transfer_user``, or ``django.contrib.auth.login`` with the channel session, has put the user there.
    """

    def with_user() -> Any:
        return _with_user(message, lambda: user_of_channel_session(message), consume)

    return with_channel_session(message, with_user)


@consumer_decorator
def channel_session_user_from_http(message: Message, consume: Consume) -> Any:
    """Transfer the user of the HTTP session, then do as ``channel_session_user``: for ``websocket.connect``."""
    return with_channel_session(
        message, lambda: with_http_session(message, lambda: _with_transferred_user(message, consume))
    )


@consumer_decorator
def channel_and_http_session_user_from_http(message: Message, consume: Consume) -> Any:
    """Do as ``channel_session_user_from_http``, and give later messages ``message.http_session`` too."""
    return with_both_sessions(message, lambda: _with_transferred_user(message, consume))


def _with_transferred_user(message: Message, consume: Consume) -> Any:
    if message.http_session is not None:
        transfer_user(message.http_session, message.channel_session)
    return _with_user(message, lambda: user_of_channel_session(message), consume)


def _with_user(message: Message, find: Callable[[], Any], consume: Consume) -> Any:
    """Run a consumer with ``message.user``. An asynchronous one could not wait for it, so it is found before."""
    message.user = SimpleLazyObject(find)
    return around(consume, lambda error: None, prepare=lambda: bool(message.user))


def user_of(session: Any) -> Any:
    """The user of a session: ``AnonymousUser`` if it has none, or if the user's password was changed."""
    request = HttpRequest()
    request.session = _ReadOnly(session)  # type: ignore[assignment]
    return get_user(request)


def user_of_channel_session(message: Message) -> Any:
    """The user of ``message.channel_session``, if the HTTP session that the user came from still has it."""
    session = message.channel_session
    source_key = session.get(SOURCE_KEY)
    if source_key is not None:
        source = getattr(message, "http_session", None)
        if source is None or source.session_key != source_key:
            source = http_session_for(source_key)
        if source is None or source.get(SESSION_KEY) != session.get(SESSION_KEY):
            return user_of(None)
    return user_of(session)


class _ReadOnly:
    """A session that ``get_user`` can only read. Otherwise it would renew the key, or empty the session."""

    def __init__(self, session: Any) -> None:
        self._session = {} if session is None else session

    def __getitem__(self, key: str) -> Any:
        return self._session[key]

    def get(self, key: str, default: Any = None) -> Any:
        return self._session.get(key, default)

    def __setitem__(self, key: str, value: Any) -> None:
        pass

    def cycle_key(self) -> None:
        pass

    def flush(self) -> None:
        pass
