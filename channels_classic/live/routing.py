"""Add ``include("channels_classic.live.routing.routing")`` to the routing of the default layer."""

from __future__ import annotations

from channels_classic.live.consumers import connect, look
from channels_classic.routing import route

PATH = r"^/channels-live/$"

routing = [
    route("websocket.connect", connect, path=PATH),
    route("websocket.receive", look, path=PATH),
]
