"""The consumers of the page's socket.

Each page asks every two seconds. The first request makes one worker look, and its overview goes to all pages by a
group. When the last page is closed, nobody looks any more.
"""

from __future__ import annotations

import json
import threading
import time
import weakref
from typing import Any

from channels_classic.auth import channel_session_user, channel_session_user_from_http
from channels_classic.channel import Group
from channels_classic.exceptions import DenyConnection
from channels_classic.layers import BaseChannelLayer, LayerUnavailable
from channels_classic.message import Message
from channels_classic.monitoring.layer_view import LayerView, View
from channels_classic.monitoring.overview import Overview, overview
from channels_classic.security.websockets import allowed_hosts_only

PERMISSION = "channels_live.view_overview"
GROUP = "channels-live"

TURN = "channels-live:turn"
TURN_SECONDS = 1.5
"""Seconds after a look in which nobody looks again, however many pages are open."""


class Looker:
    """Looks at the layer from this process, and remembers the last look, because rates need two."""

    def __init__(self, layer: BaseChannelLayer) -> None:
        self._view = LayerView(layer)
        self._lock = threading.Lock()
        self._last: tuple[View, float] | None = None

    def look(self) -> Overview:
        """Look now.

        Raises:
            LayerUnavailable: the layer cannot be looked at.
        """
        with self._lock:
            now, at = self._view.look(), time.monotonic()
            before, since = self._last or (now, at)
            self._last = now, at
            return overview(now, before, at - since)


_lookers: weakref.WeakKeyDictionary[BaseChannelLayer, Looker] = weakref.WeakKeyDictionary()


def _looker(layer: BaseChannelLayer) -> Looker:
    """The looker of this process for a layer."""
    if layer not in _lookers:
        _lookers[layer] = Looker(layer)
    return _lookers[layer]


def may_look(user: Any) -> bool:
    """Whether a user may see the page: staff with the permission."""
    return bool(user.is_active and user.is_staff and user.has_perm(PERMISSION))


@allowed_hosts_only
@channel_session_user_from_http
def connect(message: Message) -> None:
    """Accept users who may see the page."""
    if not may_look(message.user):
        raise DenyConnection
    assert message.reply_channel is not None
    message.reply_channel.send({"accept": True})
    Group(GROUP).add(message.reply_channel)


@channel_session_user
def look(message: Message) -> None:
    """Send an overview to all pages, unless one was just sent. Close the socket of a user who may not see it."""
    reply = message.reply_channel
    assert reply is not None
    if not may_look(message.user):
        Group(GROUP).discard(reply)
        reply.send({"close": 4403})
        return
    Group(GROUP).add(reply)  # this renews the membership, which would end by itself
    layer: BaseChannelLayer = getattr(message.channel_layer, "channel_layer", message.channel_layer)
    if "values" in layer.extensions and not layer.set_value(TURN, b"1", TURN_SECONDS, replace=False):
        return
    looker = _looker(layer)
    try:
        found = looker.look()
    except LayerUnavailable:
        return  # the page tells that nothing comes
    Group(GROUP).send({"text": json.dumps(found)})
