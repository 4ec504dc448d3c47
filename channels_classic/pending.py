"""Sends that wait until their consumer has ended (specification, section 5)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Any

from channels_classic.backoff import Backoff
from channels_classic.layers import BaseChannelLayer, Delivery, LayerUnavailable
from channels_classic.lonely import warn_if_lonely
from channels_classic.own_sends import Call
from channels_classic.stopping import Stopping

WaitOut = Callable[[LayerUnavailable, Backoff], bool]
"""Waits for the back-off's next pause; returns whether to try again."""

Work = Callable[[Stopping], None]
"""Long work. If it is endless, it should end soon after the event is set."""

HandOver = Callable[[str, Work], bool]
"""Runs long work in another thread, under a name for the log; returns whether a thread was free."""

_current: ContextVar[PendingSends | None] = ContextVar("pending_sends", default=None)
_stopping: ContextVar[Stopping | None] = ContextVar("stopping", default=None)


class PendingSends:
    """The messages that one consumer sends, in order: a context manager around the consumer.

    ``names`` has every channel and group that the consumer sent to, immediate sends included. The worker looks
    there whether the consumer has answered its client.

    Arguments:
        settle_turn: called with a reply channel before its next turn is asked for, so that the end of the previous
            turn does not wait here.
        wait_out: called while the layer does not answer; without it nobody waits for the layer.
        hand_over: runs long work in another thread; without it, long work runs in the consumer's thread.
    """

    def __init__(
        self,
        settle_turn: Callable[[str], None] | None = None,
        wait_out: WaitOut | None = None,
        hand_over: HandOver | None = None,
    ) -> None:
        self.settle_turn = settle_turn
        self.wait_out = wait_out
        self.hand_over = hand_over
        self.turn_ends: list[tuple[BaseChannelLayer, Delivery]] = []
        self.deliveries: list[tuple[BaseChannelLayer, Delivery]] = []
        self.names: set[str] = set()
        self.calls: list[Call] = []
        self._token: Token[PendingSends | None] | None = None

    def __enter__(self) -> PendingSends:
        self._token = _current.set(self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.deliveries += self.turn_ends
        if self._token is not None:
            _current.reset(self._token)
        for each in self.calls:
            each.make()


def current() -> PendingSends | None:
    """The object that collects the sends of the consumer that runs in this context, or ``None``."""
    return _current.get()


def send(layer: BaseChannelLayer, delivery: Delivery, immediately: bool) -> None:
    """Send now, or after the consumer that runs in this context has ended.

    Raises:
        ChannelFull: it is sent now, and the channel is full.
    """
    pending = _current.get()
    if pending is not None:
        pending.names.add(delivery.name)
        if not immediately:
            pending.deliveries.append((layer, delivery))
            return
    layer.send_now(delivery)
    warn_if_lonely(layer)


def call(
    send: Callable[[str, dict[str, Any]], Any], name: str, content: dict[str, Any], immediately: bool
) -> None:
    """Do as ``send``, with a ``send`` or ``send_group`` that the layer overrides."""
    pending = _current.get()
    if pending is not None:
        pending.names.add(name)
        if not immediately:
            pending.calls.append(Call(send, name, copy.deepcopy(content)))
            return
    send(name, content)


def settle_turn(reply_channel: str) -> None:
    """End the last turn of a client, if its end still waits here to be sent by the worker."""
    pending = _current.get()
    if pending is not None and pending.settle_turn is not None:
        pending.settle_turn(reply_channel)


def wait_out(error: LayerUnavailable, backoff: Backoff) -> bool:
    """Wait before something that failed is tried again; return whether to try again."""
    pending = _current.get()
    return pending is not None and pending.wait_out is not None and pending.wait_out(error, backoff)


def hand_over(name: str, work: Work) -> bool:
    """Run long work outside the worker's own threads. Outside a worker it runs at once in this thread.

    Arguments:
        name: a name for the log.

    Returns:
        Whether a thread was free; if not, ``work`` was not called.
    """
    pending = _current.get()
    if pending is None or pending.hand_over is None:
        work(Stopping())
        return True
    return pending.hand_over(name, work)


def leave(stopping: Stopping) -> None:
    """Make every further send in this context immediate, because its consumer has ended.

    Arguments:
        stopping: set when the worker stops; see ``stopping_of_worker``.
    """
    _current.set(None)
    _stopping.set(stopping)


def stopping_of_worker() -> Stopping:
    """The event that is set when the worker of the long work in this context stops."""
    return _stopping.get() or Stopping()


def end_turn(layer: BaseChannelLayer, end: Delivery) -> None:
    """End a turn after all messages of the consumer have been sent, or now if no consumer runs in this context."""
    pending = _current.get()
    if pending is None:
        layer.send_now(end)
    else:
        pending.turn_ends.append((layer, end))
