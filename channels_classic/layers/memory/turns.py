"""Turns in memory: the extension "ordering" of ``InMemoryChannelLayer``."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import NamedTuple

from channels_classic.layers import turns
from channels_classic.layers.turns import Verdict, report_passed_over
from channels_classic.layers.types import Lease, Turn, TurnEnd


class Due(NamedTuple):
    """A message that need not wait any longer for its turn."""

    channel: str
    payload: bytes


class _Waiting(NamedTuple):
    turn: Turn
    payload: bytes


class _Client:
    """The turns of one client."""

    def __init__(self, now: float) -> None:
        self.next = 0
        self.lease: float | None = None
        self.token = ""
        self.since: float | None = None
        self.gone = False
        self.freed: set[str] = set()
        self.lost: set[int] = set()
        self.waiting: dict[int, _Waiting] = {}
        self.bytes = 0
        self.forgotten_at = now


class Turns:
    """The turns of all clients, for a layer that keeps them in this process. It is used under the layer's lock.

    Arguments:
        expiry: seconds that a message lives in a queue.
        kept: seconds for which a client's turns are kept after its last message.
    """

    def __init__(self, expiry: float, kept: float) -> None:
        self._expiry = expiry
        self._patience = expiry + turns.EXTRA_PATIENCE
        self._kept = kept
        self._clients: dict[str, _Client] = {}
        self._due: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._clients)

    def enter(self, turn: Turn, payload: bytes, lease: float) -> tuple[Verdict, list[Due]]:
        """Ask for a turn. Returns the fate of the message, and the others that need not wait any longer.

        Arguments:
            lease: seconds for which the message keeps the turn if nobody renews it.
        """
        client = turn.reply_channel
        now = time.monotonic()
        back = self._wake(client, now)
        state = self._clients.setdefault(client, _Client(now))
        back += self._go_on(client, state, now, turn.order)
        verdict = self._enter(state, turn, payload, now, lease)
        self._keep(client, state, now)
        return verdict, back

    def end(self, client: str, turn_end: TurnEnd) -> list[Due]:
        """End a turn. Returns the messages that need not wait any longer."""
        now = time.monotonic()
        back: list[Due] = []
        state = self._clients.get(client)
        if state is not None:
            if (state.lease is not None and turn_end.order == state.next) or turn_end.order > state.next:
                back = self._give_turn(state, turn_end.order + 1, now)
            state.gone = state.gone or turn_end.last
            self._keep(client, state, now)
        return back

    def suspend(self, turn: Turn, forced: bool = False) -> None:
        """Let a message that runs go back to its channel. It has its turn when it comes again.

        Arguments:
            forced: whether to do so whatever token the message entered with.
        """
        now = time.monotonic()
        state = self._clients.get(turn.reply_channel)
        if state is None or state.lease is None:
            return
        if turn.order == state.next and (forced or turn.token == state.token):
            state.lease = None
            state.since = now if state.waiting else None
            self._keep(turn.reply_channel, state, now)

    def renew(self, lease: Lease, seconds: float) -> None:
        """Renew the lease of a turn that runs, for ``seconds`` from now."""
        now = time.monotonic()
        state = self._clients.get(lease.reply_channel)
        if state is not None and state.lease is not None and lease[1:] == (state.next, state.token):
            state.lease = now + seconds
            self._keep(lease.reply_channel, state, now)

    def lose(self, turn: Turn) -> list[Due]:
        """Pass over the turn of a lost message. Returns the messages that need not wait any longer."""
        now = time.monotonic()
        state = self._clients.setdefault(turn.reply_channel, _Client(now))
        back: list[Due] = []
        if turn.order >= state.next:
            state.lost.add(turn.order)
            back = self._give_turn(state, state.next, now) if turn.order == state.next else []
        self._keep(turn.reply_channel, state, now)
        return back

    def release(self, clients: Iterable[str]) -> list[Due]:
        """Let the turns of clients that have left end soon. Returns the messages that need not wait any longer."""
        now = time.monotonic()
        back: list[Due] = []
        for client in clients:
            back += self._wake(client, now)
            state = self._clients.get(client)
            # A client that was released before is not kept for longer.
            if state is not None and not (state.gone and state.lease is None and not state.waiting):
                state.gone = True
                back += self._go_on(client, state, now)
                self._keep(client, state, now)
        return back

    def take_waiting(self, client: str) -> Due | None:
        """Take the first message of a client that waits for its turn."""
        state = self._clients.get(client)
        if state is None or not state.waiting:
            return None
        [due] = self._put_back(state, min(state.waiting))
        self._keep(client, state, time.monotonic())
        return due

    def forget(self) -> None:
        """Drop the turns of clients that have not been heard of for long."""
        now = time.monotonic()
        for client in [client for client, state in self._clients.items() if state.forgotten_at < now]:
            del self._clients[client]
            self._due.pop(client, None)

    def clear(self) -> None:
        """Drop all."""
        self._clients.clear()
        self._due.clear()

    def _enter(self, state: _Client, turn: Turn, payload: bytes, now: float, lease: float) -> Verdict:
        order = turn.order
        if turn.slight and state.next > 0:
            return Verdict.WAITS_ALREADY if turn.token in state.freed else Verdict.RUN
        again = turn.token and turn.token == state.token
        if order < state.next or (order == state.next and state.lease is not None and not again):
            return Verdict.PASSED
        if order == state.next:
            state.lease = now + lease
            state.token = turn.token
            state.since = None
            return Verdict.RUN
        if order in state.waiting:
            return Verdict.WAITS_ALREADY
        if len(state.waiting) >= turns.MAX_WAITING or state.bytes + len(payload) > turns.MAX_WAITING_BYTES:
            return Verdict.FULL
        state.waiting[order] = _Waiting(turn, payload)
        state.bytes += len(payload)
        if state.lease is None and state.since is None:
            state.since = now
        return Verdict.WAIT

    def _give_turn(self, state: _Client, order: int, now: float) -> list[Due]:
        while order in state.lost:
            state.lost.remove(order)
            order += 1
        first = state.next == 0 and order > 0
        state.next = order
        state.lease = None
        back = []
        for waiting in sorted(state.waiting) if first else (order,):
            if waiting == order or state.waiting[waiting].turn.slight:
                back += self._put_back(state, waiting)
        state.since = now if state.waiting else None
        return back

    def _put_back(self, state: _Client, order: int) -> list[Due]:
        waiting = state.waiting.pop(order, None)
        if waiting is None:
            return []
        turn, payload = waiting
        state.bytes -= len(payload)
        if turn.slight and turn.token:
            state.freed.add(turn.token)
        return [Due(turn.channel, payload)]

    def _go_on(self, client: str, state: _Client, now: float, arriving: int | None = None) -> list[Due]:
        """Pass over a turn that nobody takes, or that does not end."""
        first = state.next
        if state.lease is not None and state.lease <= now:
            back = self._give_turn(state, state.next + 1, now)
            report_passed_over(client, first, state.next - 1, "lease")
            return back
        if state.lease is None and state.since is not None and state.since + self._patience <= now:
            orders = list(state.waiting)
            if arriving is not None and arriving >= state.next:
                orders.append(arriving)
            if (lowest := min(orders)) > state.next:
                back = self._give_turn(state, lowest, now)
                report_passed_over(client, first, lowest - 1, "gap")
                return back
        return []

    def _wake(self, but: str, now: float) -> list[Due]:
        """Let one other client go on whose messages have waited long enough."""
        for client, due in self._due.items():
            if due <= now and client != but:
                state = self._clients[client]
                back = self._go_on(client, state, now)
                self._keep(client, state, now)
                return back
        return []

    def _keep(self, client: str, state: _Client, now: float) -> None:
        busy = state.lease is not None or bool(state.waiting)
        if state.gone:
            state.forgotten_at = now + self._expiry + (turns.LEASE_SECONDS if busy else 0)
        else:
            state.forgotten_at = now + self._kept
        if state.waiting:
            since = state.since if state.since is not None else now
            self._due[client] = state.lease if state.lease is not None else since + self._patience
        else:
            self._due.pop(client, None)
