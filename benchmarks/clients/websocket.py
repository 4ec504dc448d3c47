"""WebSocket clients on picows: echo, broadcast, and idle sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Any

from picows import WSFrame, WSHandshakeError, WSListener, WSMsgType, WSTransport, ws_connect

from benchmarks.clients.recorder import Recorder

FINISH_TIMEOUT = 10.0
"""Seconds to wait for the last frames."""

CONNECTING_AT_ONCE = 20
"""The most handshakes at the same time: fewer than the channel capacity of any stack."""

HANDSHAKE_TIMEOUT = 20.0
"""Seconds for one handshake."""


class Socket(WSListener):
    """The base of all sockets.

    :param load: the load it is part of.
    """

    def __init__(self, load: SocketLoad) -> None:
        """Wait to be connected."""
        super().__init__()
        self.load = load

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Keep the transport."""
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take a frame that no subclass expects. Only frames that keep a socket alive are allowed."""
        if frame.msg_type == WSMsgType.CLOSE:
            self.load.recorder.fail(f"the server closed a socket with code {frame.get_close_code()}")
            transport.disconnect()
        elif frame.msg_type not in (WSMsgType.PING, WSMsgType.PONG):
            self.load.recorder.fail(f"a frame that nobody sent: {frame.get_payload_as_bytes()[:80]!r}")

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Note a socket that ends before the load as a failure."""
        if not self.load.finishing:
            self.load.recorder.fail("the server ended a socket")


class SocketLoad:
    """A number of sockets on one path, which stay idle.

    :param port: the server's port on 127.0.0.1.
    :param path: the path of the consumer.
    :param sockets: how many.
    :param size: the length of a text frame, in bytes.
    :param recorder: what is told of each frame.
    """

    socket_class: Callable[[Any], Socket] = Socket

    def __init__(self, port: int, path: str, sockets: int, size: int, recorder: Recorder) -> None:
        """Declare the load; nothing is connected yet."""
        self.recorder = recorder
        self.size = size
        self.finishing = False
        self.count = sockets
        self.sockets: list[Socket] = []
        self.all_arrived = asyncio.Event()
        self._url = f"ws://127.0.0.1:{port}{path}"

    async def open(self) -> None:
        """Connect all sockets, a few at a time."""
        room = asyncio.Semaphore(CONNECTING_AT_ONCE)

        async def connect() -> None:
            async with room:
                socket = self.socket_class(self)
                await ws_connect(lambda: socket, self._url, websocket_handshake_timeout=HANDSHAKE_TIMEOUT)
                self.sockets.append(socket)

        try:
            await asyncio.gather(*(connect() for _ in range(self.count)))
        except (TimeoutError, WSHandshakeError, OSError) as error:
            self.recorder.fail(f"socket {len(self.sockets) + 1} of {self.count} was refused: {error!r}")

    def begin(self) -> None:
        """Send nothing."""

    def missing(self) -> str | None:
        """A text about the messages that have not arrived; empty if there are none."""
        return None

    async def finish(self) -> None:
        """Wait for the last frames, unless the load has failed, then end the sockets."""
        self.finishing = True
        if self.missing() and not self.recorder.failure:
            try:
                await asyncio.wait_for(self.all_arrived.wait(), FINISH_TIMEOUT)
            except TimeoutError:
                self.recorder.fail(f"{self.missing()} within {FINISH_TIMEOUT:g} s")
        for socket in self.sockets:
            socket.transport.disconnect()


class EchoSocket(Socket):
    """Sends its frame again as soon as it has come back."""

    load: EchoLoad
    waiting = False

    def send(self) -> None:
        """Send the frame."""
        self.waiting = True
        self.sent_at = perf_counter()
        self.transport.send(WSMsgType.TEXT, self.load.payload)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Check and record the echo, and send again."""
        load = self.load
        if frame.get_payload_as_bytes() != load.payload:
            super().on_ws_frame(transport, frame)
            return
        load.recorder.latencies.append(perf_counter() - self.sent_at)
        if load.finishing:
            self.waiting = False
            load.stopped()
        else:
            self.sent_at = perf_counter()
            transport.send(WSMsgType.TEXT, load.payload)


class EchoLoad(SocketLoad):
    """Every socket sends its next frame when the last one has come back."""

    socket_class = EchoSocket
    sockets: list[EchoSocket]  # type: ignore[assignment]

    def begin(self) -> None:
        """Send the first frame on each socket."""
        self.payload = b"x" * self.size
        for socket in self.sockets:
            socket.send()

    def missing(self) -> str | None:
        """The number of echoes that have not arrived."""
        waiting = sum(socket.waiting for socket in self.sockets)
        return f"{waiting} of {self.count} sockets got no echo" if waiting else None

    def stopped(self) -> None:
        """Note that a socket has stopped. A socket calls this."""
        if not self.missing():
            self.all_arrived.set()


class MemberSocket(Socket):
    """A member of the room, which receives broadcasts."""

    load: BroadcastLoad

    def __init__(self, load: BroadcastLoad) -> None:
        """Wait to be connected; nothing has arrived."""
        super().__init__(load)
        self.arrived = 0

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Check and record the delivery. The last one of a broadcast starts the next."""
        load = self.load
        if frame.get_payload_as_bytes() != load.payload:
            super().on_ws_frame(transport, frame)
            return
        load.recorder.latencies.append(perf_counter() - load.sent_at)
        self.arrived += 1
        load.outstanding -= 1
        if not load.outstanding:
            load.broadcast()


class BroadcastLoad(SocketLoad):
    """One socket's frame goes to all sockets, itself included. The next one is sent when all have received it."""

    socket_class = MemberSocket
    sockets: list[MemberSocket]  # type: ignore[assignment]
    number = 0
    outstanding = 0

    def begin(self) -> None:
        """Send the first broadcast."""
        self.broadcast()

    def broadcast(self) -> None:
        """Send the next broadcast, unless the load is ending."""
        if self.finishing:
            self.all_arrived.set()
            return
        self.number += 1
        self.payload = str(self.number).zfill(self.size).encode()
        self.outstanding = self.count
        self.sent_at = perf_counter()
        self.sockets[0].transport.send(WSMsgType.TEXT, self.payload)

    def missing(self) -> str | None:
        """The number of sockets that have not received the current broadcast."""
        late = sum(socket.arrived != self.number for socket in self.sockets)
        return f"{late} of {self.count} sockets did not receive broadcast {self.number}" if late else None
