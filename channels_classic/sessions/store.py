"""Loads and saves the sessions for the decorators of ``sessions``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import CreateError, SessionBase, UpdateError
from django.contrib.sessions.backends.signed_cookies import SessionStore as SignedCookieSession
from django.core.signals import setting_changed
from django.utils.crypto import salted_hmac

from channels_classic.asynchronous import Work, around
from channels_classic.exceptions import ConsumeLater
from channels_classic.layers import fencing
from channels_classic.log import logger
from channels_classic.message import Message
from channels_classic.redaction import one_line

SALT = "channels_classic.sessions.channel_session"
LAST_CHANNEL = "websocket.disconnect"
"""The channel of the last message of a client."""

KEY_PREFIX, KEY_LENGTH = "channel", 40
"""The form of a channel session's key. Django's own keys have 32 random characters, and its table holds 40."""


class ChannelSession(SessionBase):
    """The session of a reply channel: a mixin for the session class of any engine.

    Nobody can choose its key: it is derived from the reply channel's name and ``SECRET_KEY``. Its signature, and
    its name in caches, differ from those of HTTP sessions. So neither kind of session can be used as the other,
    not even by somebody who knows the key.

    Arguments:
        reply_channel: the name.
    """

    key_salt = SALT
    cache_key_prefix = "channels_classic.channel_session"
    _session_cache: dict[str, Any]
    kept = False
    """Whether an outer decorator will save it."""

    def __init__(self, reply_channel: str) -> None:
        # After a change of SECRET_KEY, sessions that were made with a former one are found under their old key.
        self._keys = [_derive_key(reply_channel, secret) for secret in _secrets()]
        self._stored: bool | None = None
        self._deleted = False
        super().__init__(self._keys[0])

    def load(self) -> dict[str, Any]:
        """The stored data; empty if there is none."""
        for key in self._keys:
            self._session_key = key
            data: dict[str, Any] = super().load()
            self._stored = self._session_key == key and (bool(data) or super().exists(key))
            if self._stored:
                return data
        self._session_key = self._keys[0]
        return {}

    def exists(self, session_key: str) -> bool:
        """Whether there is such a session. A consumer's own session exists until it is deleted, even unstored."""
        is_own = self.kept and not self._deleted and session_key == self.session_key
        return is_own or super().exists(session_key)

    def save(self, must_create: bool = False) -> None:
        """Store the session now, even for the first time.

        Raises:
            CreateError: it is already stored, and ``must_create`` was given.
            UpdateError: it was deleted since it was loaded.
        """
        fencing.confirm()
        if must_create or self._is_stored():
            super().save(must_create)
        else:
            self._create(dict(self.items()))
        self._stored = True
        self._deleted = False
        self.modified = False

    def save_changes(self) -> None:
        """Save the changes. A session that was deleted after it was loaded stays deleted."""
        if not self.modified:
            return
        data = dict(self.items())
        if self._is_stored():
            save_existing(self)
        elif data:
            self._create(data)
        else:
            return
        self.modified = False

    def _is_stored(self) -> bool:
        if self._stored is None:
            self._stored = super().exists(self._keys[0])
        return self._stored

    def _create(self, data: dict[str, Any]) -> None:
        try:
            self.save(must_create=True)
        except CreateError:
            # Another message of this client did the same meanwhile. Its data is kept beside ours.
            self._session_cache = {**self.load(), **data}
            save_existing(self)

    def create(self) -> None:
        """Do nothing: the session is created when it is first saved."""

    def cycle_key(self) -> None:
        """Only save the session. Its key needs no change: nobody knows it, so session fixation is not possible."""
        self.modified = True

    def delete(self, session_key: str | None = None) -> None:
        """Delete the stored session. Later changes store it again."""
        fencing.confirm()
        for key in self._keys if session_key is None else [session_key]:
            super().delete(key)
        if session_key is None:
            self._session_key = self._keys[0]
            self._stored = False
            self._deleted = True
            self.modified = False

    def end(self) -> None:
        """Delete what is stored, because the client has left. What this object holds can still be read."""
        if self._stored is not False:
            self.delete()
        self.modified = False

    def flush(self) -> None:
        """Empty and delete the session."""
        self.clear()
        self.delete()


def session_for_reply_channel(reply_channel: str) -> Any:
    """The session of a reply channel. It is loaded when it is first used; ``save_changes()`` saves it.

    Raises:
        ValueError: the engine keeps sessions in signed cookies.
    """
    return _channel_session_class(channel_session_engine())(reply_channel)


def forget_session(message: Message) -> None:
    """Delete the channel session of a socket whose last message was lost: its worker died with it."""
    if message.reply_channel is None or not can_keep_channel_sessions():
        return
    try:
        session_for_reply_channel(message.reply_channel.name).end()
    except Exception as error:
        # The project may keep no sessions at all, and the engine of Django's default have no table.
        logger.warning("A channel session could not be deleted, if there was one. %s", one_line(error))


def channel_session_engine() -> str:
    """The dotted path of the engine for channel sessions."""
    engine: str = getattr(settings, "CHANNEL_SESSION_ENGINE", None) or settings.SESSION_ENGINE
    return engine


@functools.lru_cache
def _channel_session_class(engine: str) -> type[ChannelSession]:
    store = import_module(engine).SessionStore
    if issubclass(store, SignedCookieSession):
        raise ValueError(
            f"A channel session cannot be kept in a signed cookie, as {engine!r} does: only an HTTP response can "
            "set one. Set CHANNEL_SESSION_ENGINE to another engine, such as channels_classic.session_engine."
        )
    return type("ChannelSession", (ChannelSession, store), {})


def can_keep_channel_sessions() -> bool:
    """Whether the engine for channel sessions keeps them on the server, and not in a cookie."""
    return keeps_sessions(channel_session_engine())


def keeps_sessions(engine: str) -> bool:
    """Whether an engine keeps sessions on the server, and not in a cookie."""
    return not issubclass(import_module(engine).SessionStore, SignedCookieSession)


def _setting_changed(*, setting: str, **kwargs: Any) -> None:
    if setting.startswith("SESSION_"):  # engines keep some of these on the class
        _channel_session_class.cache_clear()


setting_changed.connect(_setting_changed)


def _secrets() -> list[Any]:
    return [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]


def _derive_key(reply_channel: str, secret: Any) -> str:
    digest = salted_hmac(SALT, reply_channel, secret=secret, algorithm="sha256").hexdigest()
    return (KEY_PREFIX + digest)[:KEY_LENGTH]


def http_session_for(key: str | None) -> SessionBase | None:
    """The HTTP session of a key, loaded when it is first used; ``None`` if the key is not valid."""
    if not key or not key.isascii() or not key.isprintable():
        return None
    if len(key) == KEY_LENGTH and key.startswith(KEY_PREFIX):
        return None
    store: type[SessionBase] = import_module(settings.SESSION_ENGINE).SessionStore
    return store(key)


def save_existing(session: SessionBase) -> None:
    """Save a session that exists. One that was deleted meanwhile (its user logged out) stays deleted."""
    fencing.confirm()
    key = session.session_key
    if not key:
        return
    try:
        session.save()
    except UpdateError:
        if session.exists(key):
            raise
        logger.debug("A session was not saved, because it was deleted while a consumer ran that changed it.")
    session.modified = False


def with_channel_session(message: Message, consume: Callable[[], Any]) -> Any:
    """Run a consumer with ``message.channel_session``, and save it if it was changed, even if the consumer raised.

    After the consumer of ``websocket.disconnect`` the session is deleted: nobody will ask for it any more.

    Raises:
        ValueError: the message has no reply channel, or the engine cannot keep channel sessions.
    """
    session = getattr(message, "channel_session", None)
    if session is None:
        if message.reply_channel is None:
            raise ValueError(
                f"A channel session belongs to a reply channel, but this message has none: {message!r:.500}. "
                "Is the decorator on a consumer of messages that do not come from a client?"
            )
        session = session_for_reply_channel(message.reply_channel.name)
        message.channel_session = session
    if getattr(session, "kept", False):
        return consume()
    session.kept = True

    def save(error: BaseException | None) -> Work | None:
        session.kept = False
        if not isinstance(session, ChannelSession):
            return session.save if session.modified else None
        if message.channel.name == LAST_CHANNEL and not isinstance(error, ConsumeLater):
            return session.end
        return session.save_changes if session.modified else None

    return around(consume, save, prepare=session.keys)
