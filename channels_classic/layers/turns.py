"""Turns: the messages of one client run one after another, by their ``order`` (specification, section 8).

The state of a client is one number, the order whose turn it is, and whether that message runs. A message that
asks too early is kept beside that number and goes back to the front of its channel when its turn has come, so no
worker waits with it. Every step is one atomic operation of the layer: here under the lock of
``InMemoryChannelLayer``, in ``turns.lua`` for Redis.

Two things may never come: the end of a turn (its worker was killed) and a message (it expired, or was lost with
its worker). Both are passed over after a while, by the next step of any client.

An answer may be lost on its way. So every step can be carried out again: an end is known by its order, an enter
and a suspend by a token of whoever asks.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Iterable
from typing import NamedTuple

from channels_classic.layers.exceptions import ChannelFull
from channels_classic.log import logger

LEASE_SECONDS = 300.0
"""How long a message keeps its turn without ending it: longer than any consumer should take, because from then on
the next one runs beside it; and short enough for the client of a worker that was killed."""

EXTRA_PATIENCE = 3.0
"""Seconds beyond ``expiry`` that messages wait for one that does not come. It was sent before them, so by then it
has expired, even if somebody took it at the last moment or had to try for a while to put it back."""

MAX_WAITING = 10_000
MAX_WAITING_BYTES = 2**23
"""How many messages, and bytes of them, may wait for one client."""

LARGEST_ORDER = 2**53 - 2
"""The largest ``order`` that Lua's numbers tell from the next one."""


class Verdict(enum.Enum):
    """What becomes of a message that asks for its turn."""

    RUN = "run"
    WAIT = "wait"
    WAITS_ALREADY = "waits"
    PASSED = "passed"
    FULL = "full"


class TurnEnd(NamedTuple):
    """The end of a turn, which travels behind what its consumer sent.

    Arguments:
        order: of the message whose consumer is done.
        last: no message of that client will follow.
    """

    order: int
    last: bool = False


class Due(NamedTuple):
    """A message that need not wait any longer."""

    channel: str
    payload: bytes


class _Waiting(NamedTuple):
    due: Due
    slight: bool
    token: str


class _Turns:
    """The turns of one client."""

    def __init__(self, now: float) -> None:
        self.next = 0
        self.lease: float | None = None
        self.token = ""
        self.since: float | None = None
        self.gone = False
        self.freed: set[str] = set()
        self.waiting: dict[int, _Waiting] = {}
        self.bytes = 0
        self.forgotten_at = now


class TurnTable:
    """The turns of all clients, for a layer that keeps them in this process. It is used under the layer's lock.

    Arguments:
        expiry: seconds that a message lives in a queue.
        kept: seconds after its last message that a client's turns are kept.
    """

    def __init__(self, expiry: float, kept: float) -> None:
        self._expiry = expiry
        self._patience = expiry + EXTRA_PATIENCE
        self._kept = kept
        self._clients: dict[str, _Turns] = {}
        self._due: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._clients)

    def enter(self, client: str, order: int, slight: bool, due: Due, token: str) -> tuple[Verdict, list[Due]]:
        """Ask for a turn; what becomes of the message, and which others need not wait any longer."""
        now = time.monotonic()
        back = self._wake(client, now)
        turns = self._clients.setdefault(client, _Turns(now))
        back += self._go_on(client, turns, now, order)
        verdict = self._enter(turns, order, slight, due, token, now)
        self._keep(client, turns, now)
        return verdict, back

    def end(self, client: str, turn_end: TurnEnd) -> list[Due]:
        """A turn has ended; which messages need not wait any longer."""
        now = time.monotonic()
        back: list[Due] = []
        turns = self._clients.get(client)
        if turns is not None:
            if turns.lease is not None and turn_end.order == turns.next:
                back = self._give_turn(turns, turns.next + 1, now)
            turns.gone = turns.gone or turn_end.last
            self._keep(client, turns, now)
        return back

    def suspend(self, client: str, order: int, token: str) -> None:
        """A message that runs goes back to its channel, and has its turn when it comes again."""
        now = time.monotonic()
        turns = self._clients.get(client)
        if turns is not None and turns.lease is not None and (order, token) == (turns.next, turns.token):
            turns.lease = None
            turns.since = now if turns.waiting else None
            self._keep(client, turns, now)

    def release(self, clients: Iterable[str]) -> list[Due]:
        """Clients have left; which messages need not wait any longer."""
        now = time.monotonic()
        back: list[Due] = []
        for client in clients:
            back += self._wake(client, now)
            turns = self._clients.get(client)
            if turns is not None:
                turns.gone = True
                back += self._go_on(client, turns, now)
                self._keep(client, turns, now)
        return back

    def forget(self) -> None:
        """Drop the turns of clients that have not been heard of for long."""
        now = time.monotonic()
        for client in [client for client, turns in self._clients.items() if turns.forgotten_at < now]:
            del self._clients[client]
            self._due.pop(client, None)

    def clear(self) -> None:
        """Drop all."""
        self._clients.clear()
        self._due.clear()

    def _enter(self, turns: _Turns, order: int, slight: bool, due: Due, token: str, now: float) -> Verdict:
        if slight and turns.next > 0:
            return Verdict.WAITS_ALREADY if token in turns.freed else Verdict.RUN
        again = token and token == turns.token
        if order < turns.next or (order == turns.next and turns.lease is not None and not again):
            return Verdict.PASSED
        if order == turns.next:
            turns.lease = now + LEASE_SECONDS
            turns.token = token
            turns.since = None
            return Verdict.RUN
        if order in turns.waiting:
            return Verdict.WAITS_ALREADY
        if len(turns.waiting) >= MAX_WAITING or turns.bytes + len(due.payload) > MAX_WAITING_BYTES:
            return Verdict.FULL
        turns.waiting[order] = _Waiting(due, slight, token)
        turns.bytes += len(due.payload)
        if turns.lease is None and turns.since is None:
            turns.since = now
        return Verdict.WAIT

    def _give_turn(self, turns: _Turns, order: int, now: float) -> list[Due]:
        first = turns.next == 0 and order > 0
        turns.next = order
        turns.lease = None
        back = []
        for waiting in sorted(turns.waiting) if first else (order,):
            if waiting == order or turns.waiting[waiting].slight:
                back += self._put_back(turns, waiting)
        turns.since = now if turns.waiting else None
        return back

    def _put_back(self, turns: _Turns, order: int) -> list[Due]:
        waiting = turns.waiting.pop(order, None)
        if waiting is None:
            return []
        turns.bytes -= len(waiting.due.payload)
        if waiting.slight and waiting.token:
            turns.freed.add(waiting.token)
        return [waiting.due]

    def _go_on(self, client: str, turns: _Turns, now: float, arriving: int | None = None) -> list[Due]:
        """Pass over a turn that is not taken, or does not end."""
        first = turns.next
        if turns.lease is not None and turns.lease <= now:
            back = self._give_turn(turns, turns.next + 1, now)
            report_passed_over(client, first, turns.next - 1, "lease")
            return back
        if turns.lease is None and turns.since is not None and turns.since + self._patience <= now:
            orders = list(turns.waiting)
            if arriving is not None and arriving >= turns.next:
                orders.append(arriving)
            if (lowest := min(orders)) > turns.next:
                back = self._give_turn(turns, lowest, now)
                report_passed_over(client, first, lowest - 1, "gap")
                return back
        return []

    def _wake(self, but: str, now: float) -> list[Due]:
        """Let one other client go on for whom messages have waited long enough."""
        for client, due in self._due.items():
            if due <= now and client != but:
                turns = self._clients[client]
                back = self._go_on(client, turns, now)
                self._keep(client, turns, now)
                return back
        return []

    def _keep(self, client: str, turns: _Turns, now: float) -> None:
        busy = turns.lease is not None or bool(turns.waiting)
        if turns.gone:
            turns.forgotten_at = now + self._expiry + (LEASE_SECONDS if busy else 0)
        else:
            turns.forgotten_at = now + self._kept
        if turns.waiting:
            since = turns.since if turns.since is not None else now
            self._due[client] = turns.lease if turns.lease is not None else since + self._patience
        else:
            self._due.pop(client, None)


def may_run(verdict: Verdict, client: str, order: int, channel: str) -> bool:
    """What ``enter_turn`` has to say after a verdict.

    Raises:
        ChannelFull: the message was dropped because too much waits already.
    """
    if verdict is Verdict.FULL:
        raise ChannelFull(
            f"Message {order} of {client} on {channel!r} was dropped: too many messages of this client, or too "
            "large ones, wait for their turn. Does their consumer take too long for what the client sends?"
        )
    if verdict in (Verdict.PASSED, Verdict.WAITS_ALREADY):
        logger.debug("Message %d of %s on %r was dropped: it came twice, or too late.", order, client, channel)
    return verdict is Verdict.RUN


def report_passed_over(client: str, first: int, last: int, reason: str) -> None:
    """Tell people that the messages ``first`` to ``last`` of a client are not waited for any longer."""
    orders = f"message {first}" if first == last else f"messages {first} to {last}"
    if reason == "lease":
        logger.warning(
            "The turn of %s of %s did not end in %d s, so the next one goes on: was its worker killed?",
            orders,
            client,
            LEASE_SECONDS,
        )
    else:
        logger.warning(
            "Later messages of %s have waited in vain for %s: lost, or handled by a consumer that is not "
            "decorated with enforce_ordering? All consumers of a socket have to be.",
            client,
            orders,
        )
