"""Maps messages to consumers: the first route that matches a message gets it."""

from blog.consumers import BlogSocket

from channels_classic import route
from channels_classic.exceptions import DenyConnection


def refuse(message):
    """websocket.connect on any other path"""
    raise DenyConnection


channel_routing = [
    BlogSocket.as_route(path=r"^/(?P<slug>[A-Za-z0-9_-]{1,50})/ws$"),
    route("websocket.connect", refuse),
]
