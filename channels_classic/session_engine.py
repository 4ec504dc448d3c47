"""The session engine for ``CHANNEL_SESSION_ENGINE = "channels_classic.session_engine"``.

Django looks in this module for ``SessionStore``; it is defined in ``channels_classic.sessions.engine``.
"""

from channels_classic.sessions.engine import SessionStore

__all__ = ["SessionStore"]
