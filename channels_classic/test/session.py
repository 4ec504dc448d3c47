"""The HTTP session of a ``WSClient``, which has a key, for the cookie, before anything is stored."""

from __future__ import annotations

import functools
from importlib import import_module
from typing import Any

from django.contrib.sessions.backends.base import VALID_KEY_CHARS, SessionBase
from django.utils.crypto import get_random_string

KEY_LENGTH = 32
"""The characters and the length of Django's session keys."""


class ClientSession(SessionBase):
    """A mixin for the session class of any engine that keeps its key from the start.

    Engines forget the key of a session that is not stored. A client that sends its cookie with every message needs
    a stable key, and a test without sessions should not need a database for it.
    """

    _session_key: str | None

    def load(self) -> dict[str, Any]:
        """Load the stored session; an empty one if nothing is stored."""
        key = self._session_key
        data: dict[str, Any] = super().load()
        self._session_key = key
        return data

    def save(self, must_create: bool = False) -> None:
        """Store the session, even for the first time."""
        key = self._session_key
        super().save(must_create=must_create or (key is not None and not self.exists(key)))


def new_session(engine: str) -> SessionBase:
    """Make a session with a new key, of which nothing is stored yet.

    Arguments:
        engine: the dotted path of a session engine.
    """
    return _session_class(engine)(get_random_string(KEY_LENGTH, VALID_KEY_CHARS))


@functools.lru_cache
def _session_class(engine: str) -> type[SessionBase]:
    return type("SessionStore", (ClientSession, import_module(engine).SessionStore), {})
