"""A session engine that keeps sessions in the channel layer, where they expire by themselves.

It is meant for channel sessions: ``CHANNEL_SESSION_ENGINE = "channels_classic.session_engine"``. The sessions are
stored like all data of the default channel layer (its servers, its prefix, its encryption). They end between half
of the layer's ``group_expiry`` and all of it after they were last read, or at the time of ``set_expiry``.
In a worker they wait for a layer that does not answer, as turns do.
"""

from __future__ import annotations

from typing import Any

from django.contrib.sessions.backends.base import CreateError, SessionBase, UpdateError

from channels_classic.defaults import DEFAULT_CHANNEL_LAYER
from channels_classic.layer_settings.layers import bare_layers
from channels_classic.layers import BaseChannelLayer
from channels_classic.patience import through_outages


class SessionStore(SessionBase):
    """A session in the default channel layer, which needs the extension "values"."""

    def load(self) -> dict[str, Any]:
        """The stored data; empty if there is none."""
        name = self._name(self.session_key)
        stored = through_outages(lambda: self._layer.get_value(name), self._layer)
        if stored is None:
            self._session_key = None
            return {}
        value, left = stored
        data: dict[str, Any] = self.decode(value.decode())
        # Reading a session renews its time, but not with a write each time.
        if "_session_expiry" not in data and left < self._layer.group_expiry / 2:
            through_outages(lambda: self._layer.keep_value(name, self._layer.group_expiry), self._layer)
        return data

    def exists(self, session_key: str | None) -> bool:
        """Whether a session is stored under a key."""
        name = self._name(session_key)
        return through_outages(lambda: self._layer.get_value(name), self._layer) is not None

    def create(self) -> None:
        """Store an empty session under a new key."""
        while True:
            self._session_key = self._get_new_session_key()  # type: ignore[attr-defined]
            try:
                self.save(must_create=True)
            except CreateError:
                continue
            self.modified = True
            return

    def save(self, must_create: bool = False) -> None:
        """Store the session.

        Raises:
            CreateError: ``must_create`` is set, and there already is a session with that key.
            UpdateError: ``must_create`` is not set, and the session does not exist any more.
        """
        if self.session_key is None:
            self.create()
            return
        data = self._get_session(no_load=must_create)  # type: ignore[attr-defined]
        seconds = self.get_expiry_age() if "_session_expiry" in data else self._layer.group_expiry
        value = self.encode(data).encode()
        if seconds <= 0:
            self.delete()
        elif not self._set(self._name(self.session_key), value, seconds, replace=not must_create):
            raise CreateError if must_create else UpdateError

    def delete(self, session_key: str | None = None) -> None:
        """Delete the session of a key, by default this one."""
        key = session_key or self.session_key
        if key:
            through_outages(lambda: self._layer.delete_value(self._name(key)), self._layer)

    def _set(self, name: str, value: bytes, seconds: float, replace: bool) -> bool:
        tries = 0

        def step() -> bool:
            nonlocal tries
            tries += 1
            if self._layer.set_value(name, value, seconds, replace):
                return True
            # The answer to the first try may be what was lost, and not the try.
            stored = None if replace or tries == 1 else self._layer.get_value(name)
            return stored is not None and stored[0] == value

        return through_outages(step, self._layer)

    @classmethod
    def clear_expired(cls) -> None:
        """Do nothing: the layer does it by itself."""

    @property
    def _layer(self) -> BaseChannelLayer:
        return bare_layers[DEFAULT_CHANNEL_LAYER]

    @staticmethod
    def _name(session_key: str | None) -> str:
        return f"session:{session_key}"
