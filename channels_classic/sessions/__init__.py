"""Sessions and ordering for consumers: the classic module ``channels.sessions`` (specification, section 8).

``decorators`` gives consumers their sessions, ``ordering`` their turn; ``store`` loads and saves, ``engine`` keeps
sessions in the channel layer.
"""

from channels_classic.sessions.decorators import channel_and_http_session, channel_session, http_session
from channels_classic.sessions.ordering import enforce_ordering
from channels_classic.sessions.store import session_for_reply_channel

__all__ = [
    "channel_and_http_session",
    "channel_session",
    "enforce_ordering",
    "http_session",
    "session_for_reply_channel",
]
