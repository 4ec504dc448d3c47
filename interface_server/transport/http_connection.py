"""An HTTP/1.1 connection: reads requests and writes responses, one after another (RFC 9112)."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import cast
from urllib.parse import unquote_to_bytes

from channels_classic.log import logger
from interface_server.asgi_types import Scope
from interface_server.deadline import Deadline
from interface_server.http.connection import Connection, Handler
from interface_server.transport.addresses import local_address, remote_address
from interface_server.transport.asgi_call import AsgiCall
from interface_server.transport.cycle import Cycle
from interface_server.transport.http_parser import BadRequest, Head, RequestReader
from interface_server.transport.http_response import short_response
from interface_server.transport.http_stage import READING, Stage
from interface_server.transport.portions import Portions
from interface_server.transport.proxy import forwarded
from interface_server.transport.server import Server
from interface_server.transport.stall_watch import StallWatch
from interface_server.transport.websocket_connection import WebSocketConnection
from interface_server.transport.websocket_handshake import to_request

HEAD_SECONDS = 60.0
"""Seconds that a client may take to send the head of a request, from its connection or the first byte on."""

IDLE_SECONDS = 5.0
"""Seconds for which a connection without another request is kept."""

LINGER_SECONDS = 5.0
"""Seconds for which the rest of a request is read and dropped after its response.

If a connection is closed while the client still sends, the client's system may drop the response unread
(RFC 9112, section 9.6).
"""

FIRST_HEAD_SECONDS = 1.0
"""Seconds to wait for a request when the server stops, for a client that has just connected. It was accepted, so
it is served."""

LAST_HEAD_SECONDS = 0.2
"""The same for a connection that has served before, because a request may be on its way."""

SILENT_STREAM_SECONDS = 5.0
"""Seconds for which a response of unknown length may be silent when the server stops, before it counts as
endless."""

READ_AHEAD = 256 * 1024
"""Bytes that a client may send ahead: the requests behind the one that is being answered."""

PERCENT = ord("%")
RESTARTING = "The server is restarting; try again in a moment."


class HttpConnection(asyncio.Protocol):
    """Serves the requests of one client with the application of a server.

    If the application has a method ``begin_exchange(scope, connection)``, that returns a ``Handler``, which
    answers without a task of its own. Without the method, or if it returns ``None``, the application is called as
    in ASGI 3.

    Arguments:
        server: the server of the connection.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._begin_exchange: Callable[[Scope, Connection], Handler | None] | None = getattr(
            server.application, "begin_exchange", None
        )
        self._reader = RequestReader()
        self._cycle: Cycle | None = None
        self._websocket: WebSocketConnection | None = None
        self._stage = Stage.OPEN
        self._has_served = False
        self._in_head = False
        self._is_advancing = False
        self._deadline = Deadline(self._loop, self._time_out)
        self.is_writable = True
        """Whether the client keeps up with what is sent."""

    def __str__(self) -> str:
        """What the connection does, for people."""
        return str(self._cycle) if self._cycle is not None else "an idle connection"

    # The methods of asyncio.Protocol.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin: a client has connected."""
        self._transport = cast(asyncio.Transport, transport)
        self._stall = StallWatch(self._transport, self._client_stalls)
        self._portions = Portions(self._transport, self._receive)
        self._server.connections.add(self)
        settings = self._server.settings
        self._scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "scheme": "https" if settings.is_tls else "http",
            "root_path": settings.root_path,
            "client": remote_address(transport),
            "server": local_address(transport),
        }
        self._deadline.set(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """End: the connection is over."""
        if self._websocket is not None:  # TLS tells the protocol that it had when the connection broke
            self._websocket.connection_lost(exc)
        self._stage = Stage.CLOSED
        self._let_go()
        self._client_leaves()

    def eof_received(self) -> None:
        """End: the client sends nothing more, so it has left."""
        self._portions.finish()
        self._client_leaves()

    def data_received(self, data: bytes) -> None:
        """Take bytes from the client."""
        self._portions.put(data)

    def pause_writing(self) -> None:
        """Note that the client reads more slowly than the server writes."""
        self.is_writable = False
        self._stall.begin()

    def resume_writing(self) -> None:
        """Note that the client has caught up."""
        self.is_writable = True
        self._stall.end()
        if self._cycle is not None:
            self._cycle.handler.resume_writing()
        elif self._stage in READING:
            self._go_on()

    # The methods of ``server.Connection``.

    def shutdown(self) -> None:
        """Finish what runs, then close. Endless responses end, and a request that is on its way is served."""
        if self._stage is Stage.LINGERING:
            self.close()
        if self._stage is not Stage.OPEN:
            return
        self._stage = Stage.LAST
        if self._cycle is None:
            self._deadline.set(LAST_HEAD_SECONDS if self._has_served else FIRST_HEAD_SECONDS)
        else:
            self._limit(self._cycle)

    def abort(self) -> None:
        """Close now, because there is no time left. A request without an answer gets 503."""
        cycle = self._cycle
        if cycle is None:
            self._transport.abort()
        elif cycle.response.has_started:
            self._client_leaves()
            cycle.abort()
        else:
            self._refuse(503, RESTARTING)

    # Called by the cycle of a request.

    @property
    def is_last(self) -> bool:
        """Whether no more requests are read."""
        return self._stage is not Stage.OPEN or self._server.is_stopping

    def write(self, data: bytes) -> None:
        """Send ``data``, unless the connection is over."""
        if not self._transport.is_closing():
            self._transport.write(data)

    def complete(self, cycle: Cycle) -> None:
        """Note that the response of ``cycle`` is complete."""
        self._cycle = None
        self._has_served = True
        del cycle.handler  # it refers to the cycle; so neither has to wait for garbage collection
        if cycle.body_left:
            self._linger()
        elif self.is_last or not cycle.response.keep_alive:
            self.close()
        elif self.is_writable:
            self._go_on()

    def progress(self, cycle: Cycle) -> None:
        """Note that a part of the response of ``cycle`` was sent, and more follows."""
        if self._stage is Stage.LAST:
            self._limit(cycle)

    def advance(self) -> None:
        """Process the received bytes, as far as they are wanted."""
        if self._is_advancing:
            return  # the loop of an outer call continues
        self._is_advancing = True
        try:
            while self._stage in READING and self._step():
                pass
        except BadRequest as error:
            self._refuse(error.status, error.text)
        except Exception:
            # A channel layer of a project may raise anything.
            logger.exception("The request %s fails because of an error in the application:", str(self))
            self._refuse(500, "Internal Server Error")
        finally:
            self._is_advancing = False
        if self._portions.is_paused or self._reader.waiting > READ_AHEAD:
            self._regulate_reading()

    # From the client.

    def _receive(self, data: bytes) -> None:
        if self._stage in READING:
            self._reader.receive(data)
            self.advance()

    def _step(self) -> bool:
        """Read a head, or a part of a body. Returns ``False`` if there is none, or it is not wanted yet."""
        cycle = self._cycle
        if cycle is None:
            return self.is_writable and self._read_head()  # a client that reads no answer gets no further one
        if not cycle.takes_body:
            return False
        part = self._reader.read_body()
        if part is None:
            return False
        data, cycle.body_left = part
        cycle.handler.receive_body(data, cycle.body_left)
        return True

    def _go_on(self) -> None:
        """Wait for the next request, which may have come already."""
        if self._stage is Stage.OPEN:
            self._deadline.set(IDLE_SECONDS)
        if self._reader.waiting:
            self.advance()

    def _read_head(self) -> bool:
        head = self._reader.read_head()
        if head is None:
            if self._reader.waiting and not self._in_head:
                self._in_head = True
                self._deadline.set(FIRST_HEAD_SECONDS if self.is_last else HEAD_SECONDS)
            return False
        self._in_head = False
        self._deadline.clear()
        if head.is_websocket:
            self._hand_over(head)
            return False
        scope = self._make_scope(head)
        self._cycle = cycle = Cycle(self, head)
        handler = None if self._begin_exchange is None else self._begin_exchange(scope, cycle)
        if handler is None:
            handler = AsgiCall(self._server.application, scope, head.has_body, cycle, self._server.tasks)
        cycle.handler = handler
        handler.begin()
        return True

    def _make_scope(self, head: Head) -> Scope:
        root_path = self._server.settings.root_path
        path = head.path
        scope = {
            **self._scope,
            "http_version": head.version,
            "method": head.method,
            "path": root_path + (unquote_to_bytes(path) if PERCENT in path else path).decode(errors="replace"),
            "raw_path": root_path.encode() + path,
            "query_string": head.query,
            "headers": head.headers,
        }
        forwarded(scope, self._server.settings.trusted_proxies)
        return scope

    def _hand_over(self, head: Head) -> None:
        """Hand the connection over to a ``WebSocketConnection``."""
        request = to_request(head)
        rest = self._reader.take_rest() + self._portions.take_rest()
        self._portions.resume()
        self._stage = Stage.CLOSED
        self._let_go()
        self._websocket = websocket = WebSocketConnection(self._server, self._transport)
        self._transport.set_protocol(websocket)
        websocket.begin(head, request)
        websocket.data_received(rest)

    def _regulate_reading(self) -> None:
        """Keep no more than ``READ_AHEAD`` bytes of the client."""
        if self._transport.is_closing():
            return
        cycle = self._cycle
        is_too_much = self._reader.waiting > READ_AHEAD and (cycle is None or not cycle.takes_body)
        if is_too_much and (cycle is None or not cycle.body_left):
            # To stop reading is no solution: then the server would not notice when the client leaves.
            logger.warning(
                "A client was cut off: it sends requests, but does not wait for the answers (%s).", str(self)
            )
            self._transport.abort()
        elif is_too_much is not self._portions.is_paused:
            if is_too_much:
                self._portions.pause()
            else:
                self._portions.resume()

    # The end.

    def _client_leaves(self) -> None:
        cycle, self._cycle = self._cycle, None
        if self._stage is not Stage.CLOSED:
            self._stage = Stage.LINGERING
        if cycle is not None:
            cycle.handler.leave()
            del cycle.handler

    def _client_stalls(self) -> None:
        logger.warning("A client was cut off: it did not read what was sent to it (%s).", str(self))
        self._transport.abort()

    def _time_out(self) -> None:
        if self._cycle is not None:
            self._end_stream(self._cycle)
        elif self._in_head:
            self._refuse(408, "The request did not arrive in time.")
        else:
            self.close()

    def _limit(self, cycle: Cycle) -> None:
        """Keep a response without an end from delaying the stop of the server."""
        if cycle.is_endless:
            self._deadline.set(0)
        elif cycle.response.may_be_endless:
            self._deadline.set(SILENT_STREAM_SECONDS)

    def _end_stream(self, cycle: Cycle) -> None:
        """End an endless response. A response that could have come to an end must not look complete."""
        self._client_leaves()
        if not cycle.is_endless:
            logger.info("The server stops: the answer to %s was silent, and is cut.", str(cycle))
            cycle.abort()
            return
        if cycle.response.has_started:
            self.write(cycle.response.write(b"", False))
        self.close()

    def _refuse(self, status: int, text: str) -> None:
        """Answer an invalid request, and end the connection."""
        cycle = self._cycle
        if cycle is not None and cycle.response.has_started:
            self._transport.abort()
            return
        self._client_leaves()
        self.write(short_response(status, text))
        self._linger()

    def _linger(self) -> None:
        if self._transport.is_closing() or not self._transport.can_write_eof():
            self.close()
            return
        self._stage = Stage.LINGERING
        self._in_head = False
        self._reader.take_rest()
        self._regulate_reading()
        self._transport.write_eof()
        self._deadline.set(LINGER_SECONDS)

    def close(self) -> None:
        """Close when everything is sent."""
        self._stage = Stage.LINGERING
        self._deadline.clear()
        if self.is_writable and self._transport.get_write_buffer_size():
            self._stall.begin()
        self._transport.close()

    def reset(self) -> None:
        """Close so that the client sees an error."""
        sock = self._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def _let_go(self) -> None:
        """Forget the connection, because it is over, or was handed over."""
        self._server.connections.discard(self)
        self._deadline.cancel_timer()
        self._stall.close()
        self._portions.take_rest()
