"""The short way of an HTTP exchange: one message to the workers and one back, without a task and ASGI events.

Most exchanges are like that. One that is not (its answer comes in parts, or late) goes on as an ``Exchange``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol

from interface_server.asgi_types import Event, Receive, Scope, Send
from interface_server.context import Context
from interface_server.http.answer import Answer, BadAnswer, State
from interface_server.http.exchange import BUSY, TOO_LARGE, Exchange
from interface_server.outcome import Outcome

PATIENCE = 1.0
"""Seconds after which an exchange without an answer takes the long way, where timeouts are looked after."""


class Connection(Protocol):
    """The server's side of the connection that a request came over."""

    def answer(self, start: Event, body: bytes) -> bool:
        """Send a complete answer; ``False`` where it has to take the long way."""

    def go_on(self, make: Callable[[Receive, Send], Exchange]) -> Exchange:
        """Run the exchange that ``make`` makes, the long way."""


class BriefExchange:
    """A request without a body, and its answer.

    Arguments:
        context: whose layer, limits and timeouts count.
        brief_exchanges: all that wait; this one joins them.
        scope: of ASGI.
        connection: where the answer goes.
    """

    def __init__(
        self, context: Context, brief_exchanges: BriefExchanges, scope: Scope, connection: Connection
    ) -> None:
        self.started = time.monotonic()
        self._context = context
        self._brief_exchanges = brief_exchanges
        self._scope = scope
        self._connection = connection
        self._ended = False
        self._successor: Exchange | None = None
        self._reply_channel = context.reader.join(self)
        brief_exchanges.add(self)

    def send_request(self) -> None:
        """Send ``http.request``."""
        if not self._context.send_request(self._scope, self._reply_channel, self._request_done):
            self._refuse(TOO_LARGE)

    def deliver(self, content: dict[str, Any]) -> None:
        """The answer, or the first part of one (called by the reader)."""
        if not self._answer(content):
            self.go_on().deliver(content)

    def abort(self) -> None:
        """End it: no message will come any more (called by the reader)."""
        self._refuse(BUSY, request_sent=True)

    def go_on(self) -> Exchange:
        """Take the long way from here on."""
        self._brief_exchanges.discard(self)
        self._successor = self._connection.go_on(self._make_successor)
        return self._successor

    def leave(self) -> None:
        """The client has closed the connection."""
        if not self._ended and self._successor is None:
            self._end(499, 0)

    def _make_successor(self, receive: Receive, send: Send) -> Exchange:
        exchange = Exchange(self._context, self._scope, receive, send)
        exchange.take_over(self._reply_channel, self.started)
        return exchange

    def _answer(self, content: dict[str, Any], request_sent: bool = True) -> bool:
        answer = Answer()
        try:
            events = answer.feed(content)
        except BadAnswer:
            return False
        if answer.state is not State.DONE or not self._connection.answer(events[0], events[1]["body"]):
            return False
        self._end(answer.status, answer.size, request_sent)
        return True

    def _request_done(self, outcome: Outcome) -> None:
        if self._successor is not None:
            self._successor.request_done(outcome)
        elif outcome is not Outcome.TAKEN and not self._ended:
            # Where a worker may have it, that has to hear of the end.
            self._refuse(BUSY, outcome is Outcome.UNKNOWN)

    def _refuse(self, content: dict[str, Any], request_sent: bool = False) -> None:
        if not self._answer(content, request_sent):
            exchange = self.go_on()
            exchange.request_sent = request_sent
            exchange.deliver(content)

    def _end(self, status: int | None, size: int, request_sent: bool = True) -> None:
        self._ended = True
        context = self._context
        context.reader.leave(self._reply_channel)
        self._brief_exchanges.discard(self)
        if request_sent:
            context.say_disconnect(self._scope, self._reply_channel)
        context.log_exchange(self._scope, status, size, self.started)


class BriefExchanges:
    """Those that wait for their answers. One timer sees to it that none of them waits for long.

    Arguments:
        patience: seconds that each of them has.
    """

    def __init__(self, patience: float) -> None:
        self._patience = min(patience, PATIENCE)
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[BriefExchange, None] = {}  # in the order in which they began
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """How many there are."""
        return len(self._waiting)

    def add(self, exchange: BriefExchange) -> None:
        """An exchange begins."""
        self._waiting[exchange] = None
        if self._timer is None:
            self._timer = self._loop.call_later(self._patience, self._look)

    def discard(self, exchange: BriefExchange) -> None:
        """It is over, or takes the long way."""
        self._waiting.pop(exchange, None)

    def _look(self) -> None:
        self._timer = None
        now = time.monotonic()
        while self._waiting:
            oldest = next(iter(self._waiting))
            left = oldest.started + self._patience - now
            if left > 0:
                self._timer = self._loop.call_later(left, self._look)
                return
            oldest.go_on()
