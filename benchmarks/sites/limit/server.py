"""A server that does nothing but answer: what the clients reach here is their own limit."""

import asyncio
import sys

import httptools
import uvloop
from picows import WSListener, WSMsgType, ws_create_server

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\n"
ANSWER = HEAD + b"Hello".ljust(100, b".")


class Answering(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)

    def data_received(self, data):
        self.parser.feed_data(data)

    def on_message_complete(self):
        self.transport.write(ANSWER)


class Echoing(WSListener):
    def on_ws_frame(self, transport, frame):
        if frame.msg_type == WSMsgType.TEXT:
            transport.send(WSMsgType.TEXT, frame.get_payload_as_bytes())


class Member(WSListener):
    room = set()

    def on_ws_connected(self, transport):
        self.room.add(transport)

    def on_ws_disconnected(self, transport):
        self.room.discard(transport)

    def on_ws_frame(self, transport, frame):
        if frame.msg_type == WSMsgType.TEXT:
            payload = frame.get_payload_as_bytes()
            for member in self.room:
                member.send(WSMsgType.TEXT, payload)


async def serve(kind, port):
    if kind == "http":
        server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", port)
    else:
        server = await ws_create_server(
            lambda request: Member() if request.path == b"/broadcast" else Echoing(), "127.0.0.1", port
        )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(sys.argv[2])))
