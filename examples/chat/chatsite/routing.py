"""Maps messages to consumers: the first route that matches a message gets it."""

from rooms import consumers

from channels_classic import route

LOBBY = r"^/ws$"
ROOM = r"^/rooms/(?P<room>[A-Za-z0-9._-]+)/ws$"

channel_routing = [
    route("websocket.connect", consumers.watch_lobby, path=LOBBY),
    route("websocket.disconnect", consumers.leave_lobby, path=LOBBY),
    route("websocket.connect", consumers.join_room, path=ROOM),
    route("websocket.receive", consumers.receive, path=ROOM),
    route("websocket.disconnect", consumers.leave_room, path=ROOM),
    route("websocket.connect", consumers.refuse),  # any other path: without this, it would be accepted
]
