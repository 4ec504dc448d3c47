"""``Context``: what all clients of an interface server process share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from channels_classic.backoff import Backoff
from channels_classic.counters import counters
from channels_classic.layers import BaseChannelLayer, MessageTooLarge
from channels_classic.layers.types import Process
from channels_classic.log import logger
from channels_classic.log_context import client_id
from channels_classic.processes.heartbeat import new_process
from interface_server import messages
from interface_server.asgi_types import Scope
from interface_server.departures import Departures
from interface_server.flow import Flow
from interface_server.heartbeat import Heartbeat
from interface_server.memberships import Memberships
from interface_server.outbox import Outbox
from interface_server.outcome import Outcome
from interface_server.reader import Reader
from interface_server.repeated import Repeated

AccessLog = Callable[[str, Scope, dict[str, Any]], None]

FULL_PAUSE = (0.05, 1.0)
"""The shortest and the longest pause, in seconds, before ``http.disconnect`` is sent again after its channel was
full. If it stays full, nobody reads it, and an attempt is a message for each request until it is answered."""

MAX_KINDS = 100
"""The number of kinds of warnings of which the first one is logged."""

DRAIN_SECONDS = 10.0
"""Seconds that the end of the server waits while the layer takes none of the last messages, above all goodbyes."""

RELEASE_SECONDS = 3.0
"""Seconds that it then waits for the end of its clients' memberships."""


class Part(Protocol):
    """A part of the process with its own task."""

    async def run(self) -> None:
        """Work until cancelled."""


@dataclass(frozen=True)
class Options:
    """The options of an interface server.

    Arguments:
        http_timeout: seconds until a request without an answer gets 503, and until an answer that has stopped in
            the middle is cut.
        websocket_handshake_timeout: seconds until a WebSocket that nobody accepts is rejected.
        websocket_timeout: seconds after which a WebSocket is closed in any case; ``None`` for never.
        ws_protocols: subprotocols that the server accepts if a client offers them and the consumer names none.
        max_message_size: bytes of one WebSocket message from a client. A larger one closes the socket with 1009.
        max_body_size: bytes of the body of one request. A larger one gets 413.
        min_body_rate: bytes of a body per second that a client has to send, on average over ``http_timeout``.
        max_bodies_size: bytes of all bodies that a process keeps until workers have taken them, in memory and in
            temporary files. A request beyond that gets 503.
        max_answer_size: bytes of one answer that wait for a slow client, in memory and in a temporary file, before
            the worker that sends it has to wait.
        max_answers_size: bytes of all answers that wait. Beyond that, workers wait after 1 MiB of an answer.
    """

    http_timeout: float = 60
    websocket_handshake_timeout: float = 5
    websocket_timeout: float | None = None
    ws_protocols: Sequence[str] = ()
    max_message_size: int = messages.MAX_MESSAGE_SIZE
    max_body_size: int = 256 * 2**20
    min_body_rate: int = 100
    max_bodies_size: int = 2**30
    max_answer_size: int = 64 * 2**20
    max_answers_size: int = 2**30


class Context:
    """The layer, the ways to and from it, the options and the access log, for all clients of a process.

    ``outbox``, ``reader``, ``departures``, ``flow`` and ``repeated`` exist from ``start`` on. So does ``failed``,
    an event that is set when one of them met an unexpected error. From then on nothing is served: clients get 503
    at once, and the process should end and be replaced.

    Arguments:
        channel_layer: the layer that workers receive from.
        options: timeouts and limits.
        access_log: called at each event of the access log with the event's name, the ASGI scope and details.
    """

    outbox: Outbox
    reader: Reader
    departures: Departures
    flow: Flow
    repeated: Repeated
    failed: asyncio.Event

    def __init__(
        self, channel_layer: BaseChannelLayer, options: Options, access_log: AccessLog | None = None
    ) -> None:
        self.layer: BaseChannelLayer = getattr(channel_layer, "channel_layer", channel_layer)
        self.options = options
        self._access_log = access_log
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._warned: set[object] = set()
        self._disconnects_from = 0.0
        self._disconnect_backoff = Backoff(*FULL_PAUSE)

    @property
    def is_started(self) -> bool:
        """Whether it was started in the running event loop."""
        return self._loop is asyncio.get_running_loop()

    def start(self) -> None:
        """Start to use the layer in the running event loop."""
        self._loop = asyncio.get_running_loop()
        self.failed = asyncio.Event()
        self.repeated = Repeated()
        process = new_process("interface")
        self._heartbeat = Heartbeat(self.layer, process, self._lapse)
        self.outbox = Outbox(self.layer, self._restore, self._heartbeat)
        self.reader = Reader(self.layer, self._data_lost, process.name)
        self.departures = Departures(self.layer)
        self.flow = Flow(self.layer)
        self._memberships = Memberships(self.layer, self.reader)
        parts = (self._heartbeat, self.outbox, self.departures, self.flow, self._memberships)
        self._tasks = [self._run(part) for part in parts]
        self._reading = self._run(self.reader)

    async def stop(self) -> None:
        """Send the last messages of clients, then close the layer."""
        if self._loop is None:
            return
        all_is_sent = False
        try:
            if not self.failed.is_set():
                all_is_sent = await self.outbox.drain(DRAIN_SECONDS)
                if not all_is_sent:
                    logger.error(
                        "The last messages were not taken within %g s. Other processes send the "
                        "websocket.disconnect messages that are missing.",
                        DRAIN_SECONDS,
                    )
                await asyncio.wait_for(self.departures.finish(), RELEASE_SECONDS)
        except TimeoutError:
            logger.error("The memberships of the last clients could not be ended; they end by themselves.")
        tasks = [*self._tasks, self._reading]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.outbox.close()
        if all_is_sent or self.layer.local_only:
            await self._heartbeat.depart()
        # Otherwise the process stays in the registry. Others find it dead, and send what it owes its sockets.
        await self.layer.aclose()
        self._loop = None

    async def _restore(self) -> None:
        """After an outage, restore what a server may have lost, before anything is sent to groups."""
        await self._heartbeat.beat()
        await self.layer.aregister_clients(self._heartbeat.process.name, self.reader.registrations())
        await self.layer.arepair()
        await self.layer.aresume_turns(self.reader.next_orders())
        self._data_lost()

    def _lapse(self) -> Process:
        """End all clients, and go on under another name: the layer has declared this process dead."""
        process = new_process("interface")
        self.reader.begin_again(process.name)
        self.outbox.refuse_all()  # after the clients have ended
        # The reader still waits for messages to the former name.
        self._reading.cancel()
        self._reading = self._run(self.reader)
        return process

    def _run(self, part: Part) -> asyncio.Task[None]:
        assert self._loop is not None
        task = self._loop.create_task(part.run(), name=type(part).__name__)
        task.add_done_callback(self._part_ended)
        return task

    def _data_lost(self) -> None:
        """Send again what a server may have lost: pauses of clients, and memberships."""
        self.flow.repeat()
        self._memberships.compare()

    def _part_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and not self.failed.is_set():
            self._fail(task.get_name(), task.exception())

    def _fail(self, part: str, error: BaseException | None) -> None:
        logger.critical(
            "The %s of the interface server failed: this process serves nothing any more and should be replaced.",
            part.lower(),
            exc_info=error,
        )
        self.failed.set()
        for task in [*self._tasks, self._reading]:
            task.cancel()
        self.outbox.close()
        self.reader.abort_all()

    # Logging.

    def warn_once(self, kind: object, text: str, *args: object) -> None:
        """Log a warning, unless there was one of this kind before.

        Arguments:
            kind: any hashable value.
            text, args: as for a logger.
        """
        if kind not in self._warned and len(self._warned) < MAX_KINDS:
            self._warned.add(kind)
            logger.warning(text + " Others like this are not logged.", *args)

    def log_access(self, event: str, scope: Scope, reply_channel: str, **details: Any) -> None:
        """Count an event, and write a line of the access log.

        Arguments:
            reply_channel: the reply channel of the client. The line has an id that is made from it.
        """
        if event == "websocket.connected":
            counters.sockets += 1
            counters.accepted += 1
        elif event == "websocket.disconnected":
            counters.sockets -= 1
            counters.closed[details["code"]] += 1
        elif event == "websocket.rejected":
            counters.rejected += 1
        if self._access_log is not None:
            try:
                self._access_log(event, scope, {**details, "client": client_id(reply_channel)})
            except Exception as error:
                # A full disk, or a mistake in a function of a project, must not end clients.
                self.repeated.warn(
                    "lines that the access log misses", "A line of the access log could not be written: %r.", error
                )

    # HTTP.

    def send_request(
        self,
        scope: Scope,
        reply_channel: str,
        done: Callable[[Outcome], None],
        body: bytes = b"",
        body_channel: str | None = None,
    ) -> bool:
        """Send the ``http.request`` of an exchange. Returns ``False`` if it is too large for a message.

        Arguments:
            done: called with the outcome.
            body: the body, or its first part.
            body_channel: the channel for the rest of the body.
        """
        content = messages.http_request(scope, reply_channel, body, body_channel)
        try:
            delivery = self.layer.prepare("http.request", content, checked=True)
        except MessageTooLarge:
            return False
        self.outbox.put(delivery, done, reply_channel)
        return True

    def say_disconnect(self, scope: Scope, reply_channel: str) -> None:
        """Send ``http.disconnect`` at the end of an exchange, unless its channel was full a moment ago.

        A request that has not been sent yet is withdrawn.
        """
        if self.outbox.withdraw(reply_channel) or time.monotonic() < self._disconnects_from:
            return
        content = messages.http_disconnect(scope["path"], reply_channel)
        try:
            delivery = self.layer.prepare("http.disconnect", content, checked=True)
        except Exception:
            # A layer of a project may raise anything, and the exchange has to end.
            logger.exception("Workers were not told of the end of %s:", scope["path"])
        else:
            self.outbox.put(delivery, self._disconnect_done)

    def _disconnect_done(self, outcome: Outcome) -> None:
        if outcome is not Outcome.REFUSED:
            self._disconnect_backoff.succeed()
        elif (now := time.monotonic()) >= self._disconnects_from:  # the others of its batch are refused, too
            self._disconnects_from = now + self._disconnect_backoff.fail()

    def log_exchange(
        self, scope: Scope, reply_channel: str, status: int | None, size: int, started: float
    ) -> None:
        """Count an exchange, and write its line in the access log.

        Arguments:
            reply_channel: the reply channel of the client.
            status: the status of the answer, if one has begun.
            size: bytes of content.
            started: when it began, by the monotonic clock.
        """
        counters.responses[status or 499] += 1
        if self._access_log is not None:
            seconds = time.monotonic() - started
            self.log_access("http", scope, reply_channel, status=status or 499, size=size, seconds=seconds)
