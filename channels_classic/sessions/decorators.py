"""Channel sessions and HTTP sessions for consumers (specification, section 8).

The decorators work on functions and methods, and can be nested in any order.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.http import QueryDict, parse_cookie

from channels_classic.asynchronous import Work, around
from channels_classic.decorators import Consume, consumer_decorator
from channels_classic.message import Message
from channels_classic.sessions.store import http_session_for, save_existing, with_channel_session


@consumer_decorator
def channel_session(message: Message, consume: Consume) -> Any:
    """Give the consumer ``message.channel_session``: a Django session of the client's reply channel.

    It is loaded when it is first used. It is saved after the consumer if it was changed, even if the consumer
    raised. The first save creates it. A session that was deleted while the consumer ran stays deleted.

    Raises:
        ValueError: the message has no reply channel, or ``CHANNEL_SESSION_ENGINE`` (``SESSION_ENGINE`` if that is
            not set) keeps sessions in signed cookies.
    """
    return with_channel_session(message, consume)


@consumer_decorator
def http_session(message: Message, consume: Consume) -> Any:
    """Give the consumer ``message.http_session``: the session of the client's browser, or ``None``.

    Its key comes from ``?session_key=``, or else from the session cookie. So only ``websocket.connect`` and
    ``http.request`` have one, and no later message. It is loaded when it is first used, and saved if it was
    changed and the consumer did not raise. If no stored session has this key, the consumer gets an empty session,
    which is not saved.
    """
    return with_http_session(message, consume)


@consumer_decorator
def channel_and_http_session(message: Message, consume: Consume) -> Any:
    """Give the consumer both sessions. Later messages of the client have the HTTP session too.

    For that, the channel session stores the key of the HTTP session, under the name of the session cookie.
    """
    return with_both_sessions(message, consume)


def with_http_session(message: Message, consume: Consume) -> Any:
    """Run a consumer with ``message.http_session``, and save the session if it was changed."""
    if message.has_http_session:
        return consume()
    if not hasattr(message, "http_session"):
        message.http_session = http_session_for(http_session_key(message))
    message.has_http_session = True

    def save(error: BaseException | None) -> Work | None:
        message.has_http_session = False
        session = message.http_session
        if error is None and session is not None and session.modified:
            return lambda: save_existing(session)
        return None

    def load() -> None:
        if message.http_session is not None:
            message.http_session.keys()

    return around(consume, save, prepare=load)


def with_both_sessions(message: Message, consume: Consume) -> Any:
    """Run a consumer with both sessions. The channel session stores the key of the other one."""

    def with_both() -> Any:
        remembered = message.channel_session.get(settings.SESSION_COOKIE_NAME)
        if message.http_session is None:
            message.http_session = http_session_for(remembered)
        elif remembered is None and message.http_session.session_key:
            message.channel_session[settings.SESSION_COOKIE_NAME] = message.http_session.session_key
        return consume()

    return with_channel_session(message, lambda: with_http_session(message, with_both))


def http_session_key(message: Message) -> str | None:
    """The key that the client sent, in the query or else in the session cookie; ``None`` if neither is valid."""
    try:
        query = QueryDict(message.get("query_string") or b"")
    except SuspiciousOperation:  # more fields than DATA_UPLOAD_MAX_NUMBER_FIELDS
        query = QueryDict()
    key: Any = query.get("session_key")
    if not key:
        cookies = "; ".join(
            value.decode("latin-1") for name, value in message.get("headers") or () if name == b"cookie"
        )
        key = parse_cookie(cookies).get(settings.SESSION_COOKIE_NAME)
    return key or None
