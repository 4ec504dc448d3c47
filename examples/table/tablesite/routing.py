"""Maps messages to consumers: the first route that matches a message gets it."""

from rows.consumers import TableSocket

from channels_classic import route
from channels_classic.exceptions import DenyConnection


def refuse(message):
    """websocket.connect on any other path"""
    raise DenyConnection


channel_routing = [
    TableSocket.as_route(path=r"^/ws$"),
    route("websocket.connect", refuse),
]
