from bench_site import consumers
from channels_classic import route

routing = [
    route("websocket.connect", consumers.accept, path=r"^/echo$"),
    route("websocket.receive", consumers.echo, path=r"^/echo$"),
    route("websocket.connect", consumers.accept, path=r"^/echo-async$"),
    route("websocket.receive", consumers.async_echo, path=r"^/echo-async$"),
    route("websocket.connect", consumers.join, path=r"^/broadcast$"),
    route("websocket.receive", consumers.broadcast, path=r"^/broadcast$"),
    route("websocket.disconnect", consumers.leave, path=r"^/broadcast$"),
]
