"""The HTTP session of a ``WSClient``: it has its key, and the client its cookie, before anything is stored."""

from __future__ import annotations

import functools
from importlib import import_module
from typing import Any

from django.contrib.sessions.backends.base import VALID_KEY_CHARS, SessionBase
from django.utils.crypto import get_random_string

KEY_LENGTH = 32
"""Of a session's key, as Django makes them."""


class ClientSession(SessionBase):
    """A session whose key holds from the start, in whatever engine it is mixed into.

    The engines forget the key of a session that is not stored. A browser that sends its cookie with every message
    needs one that stays, and a test that never looks at sessions should not need a database for it.
    """

    _session_key: str | None

    def load(self) -> dict[str, Any]:
        """Load what is stored; an empty session if there is nothing."""
        key = self._session_key
        data: dict[str, Any] = super().load()
        self._session_key = key
        return data

    def save(self, must_create: bool = False) -> None:
        """Store the session, for the first time too."""
        key = self._session_key
        super().save(must_create=must_create or (key is not None and not self.exists(key)))


def new_session(engine: str) -> SessionBase:
    """A session with a key that nobody has, of which nothing is stored yet.

    Arguments:
        engine: the dotted path of a session engine.
    """
    return _session_class(engine)(get_random_string(KEY_LENGTH, VALID_KEY_CHARS))


@functools.lru_cache
def _session_class(engine: str) -> type[SessionBase]:
    return type("SessionStore", (ClientSession, import_module(engine).SessionStore), {})
