"""Sends that wait until their consumer has ended (specification, section 5)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, Protocol

from channels_classic.asynchronous import is_in_event_loop
from channels_classic.backoff import Backoff
from channels_classic.layers import BaseChannelLayer, ChannelFull, Delivery, LayerUnavailable, Lease
from channels_classic.log import logger
from channels_classic.lonely import warn_if_lonely
from channels_classic.own_sends import Call
from channels_classic.stopping import Stopping

Work = Callable[[Stopping], None]
"""Long work, such as a streaming answer. If it is endless, it has to end soon after the event is set."""


class Host(Protocol):
    """The worker that runs a consumer, for the code that the consumer calls."""

    def settle_turn(self, reply_channel: str) -> None:
        """Send the end of a client's last turn, if it waits here, before the client's next turn is asked for."""

    def turn_began(self, lease: Lease) -> None:
        """Note that the running message has its turn, to renew the lease until the end of the turn is sent."""

    def wait_out(self, error: LayerUnavailable, backoff: Backoff) -> bool:
        """Wait for the back-off after a failure. Returns whether to try again."""

    def hand_over(self, name: str, reply_channel: str, work: Work) -> bool:
        """Run long work for a client in another thread. Returns whether a thread was free."""


MOST_WARNINGS = 100
"""The most consumers and calls that ``warn_of_blocking`` warns about."""

_warned: set[tuple[str, str]] = set()
_current: ContextVar[PendingSends | None] = ContextVar("pending_sends", default=None)
_stopping: ContextVar[Stopping | None] = ContextVar("stopping", default=None)


class PendingSends:
    """The messages that one consumer sends, in order: a context manager around the consumer.

    Arguments:
        host: the worker that runs the consumer. Without one, nobody waits for an unreachable layer, and long work
            runs in this thread.
    """

    # Weak references are possible, because bindings keep the changes of a consumer by this object.
    __slots__ = (
        "__weakref__",
        "_others",
        "_token",
        "asynchronous",
        "calls",
        "deliveries",
        "host",
        "is_over",
        "turn_ends",
    )

    def __init__(self, host: Host | None = None) -> None:
        self.host = host
        self.deliveries: list[tuple[BaseChannelLayer, Delivery]] = []
        # These are made late, because most consumers need none of them.
        self._others: set[str] | None = None
        self.turn_ends: Sequence[tuple[BaseChannelLayer, Delivery]] = ()
        self.calls: Sequence[Call] = ()
        self.asynchronous = ""
        """The name of the consumer, if it continues in an event loop after its call has returned."""
        self.is_over = False
        """Whether the consumer has ended. A task that it has started, and that goes on, sends at once."""

    @property
    def names(self) -> set[str]:
        """The channels and groups that the consumer has sent to, even immediately.

        The worker checks here whether the consumer has answered its client.
        """
        return {delivery.name for _, delivery in self.deliveries}.union(self._others or ())

    def note(self, name: str) -> None:
        """Note that the consumer has sent to ``name`` in another way than by ``deliveries``."""
        if self._others is None:
            self._others = set()
        self._others.add(name)

    def __enter__(self) -> PendingSends:
        self._token = _current.set(self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        _current.reset(self._token)
        if not self.asynchronous:
            self.finish()

    def collect_here(self) -> None:
        """Collect the sends in this context. The consumer may also continue in another one."""
        _current.set(self)

    def finish(self) -> None:
        """Note that the consumer has ended."""
        self.is_over = True
        self.deliveries += self.turn_ends
        for each in self.calls:
            each.make()


def current() -> PendingSends | None:
    """The object that collects the sends of the consumer in this context, or ``None``."""
    pending = _current.get()
    return None if pending is None or pending.is_over else pending


def send(layer: BaseChannelLayer, delivery: Delivery) -> None:
    """Send a message now, because ``collect`` has not kept it.

    Raises:
        ChannelFull: the channel is full.
    """
    warn_of_blocking("send", "asend")
    layer.send_now(delivery)
    warn_if_lonely(layer)


async def asend(layer: BaseChannelLayer, delivery: Delivery) -> None:
    """As ``send``, without blocking the event loop.

    Raises:
        ChannelFull: the channel is full.
    """
    if await layer.asend_batch([delivery]):
        raise ChannelFull(layer.full_text(delivery.name))
    warn_if_lonely(layer)


def collect(layer: BaseChannelLayer, delivery: Delivery, immediately: bool) -> bool:
    """Keep a message until the consumer in this context has ended, and note that the consumer has sent it.

    Arguments:
        layer: the bare layer.
        immediately: whether it is to be sent now, even inside a consumer.

    Returns:
        Whether it is kept. If not, the caller has to send it now.
    """
    pending = _current.get()
    if pending is None or pending.is_over:
        return False
    if immediately:
        pending.note(delivery.name)
    else:
        pending.deliveries.append((layer, delivery))
    return not immediately


def call(
    send: Callable[[str, dict[str, Any]], Any], name: str, content: dict[str, Any], immediately: bool
) -> None:
    """Do as ``send``, with the layer's own ``send`` or ``send_group``."""
    pending = current()
    if pending is not None:
        pending.note(name)
        if not immediately:
            pending.calls = [*pending.calls, Call(send, name, copy.deepcopy(content))]
            return
    warn_of_blocking("send", "asend")
    send(name, content)


def warn_of_blocking(call: str, instead: str) -> None:
    """Warn about a call that waits for the layer in an event loop, once for each asynchronous consumer.

    Arguments:
        call: the name of the method.
        instead: the name of its asynchronous form.
    """
    pending = _current.get()
    if pending is None or not pending.asynchronous or not is_in_event_loop():
        return
    warning = (pending.asynchronous, call)
    if warning not in _warned and len(_warned) < MOST_WARNINGS:
        _warned.add(warning)
        logger.warning(
            "The consumer %s has called %s, which blocks the event loop until the channel layer has answered. In "
            "an async def, use 'await' and %s.",
            pending.asynchronous,
            call,
            instead,
        )


def settle_turn(reply_channel: str) -> None:
    """Send the end of a client's last turn, if it still waits in this worker."""
    host = _host()
    if host is not None:
        host.settle_turn(reply_channel)


def turn_began(lease: Lease) -> None:
    """Keep the turn of the running message until its end is sent, however long the consumer takes."""
    host = _host()
    if host is not None:
        host.turn_began(lease)


def wait_out(error: LayerUnavailable, backoff: Backoff) -> bool:
    """Wait for the back-off after a failure. Returns whether to try again."""
    host = _host()
    return host is not None and host.wait_out(error, backoff)


def hand_over(name: str, reply_channel: str, work: Work) -> bool:
    """Run long work in a thread that is not a worker's. Outside a worker it runs at once in this thread.

    Arguments:
        name: its name in the log.
        reply_channel: the reply channel of its client.

    Returns:
        Whether a thread was free; if not, ``work`` was not called.
    """
    host = _host()
    if host is None:
        work(Stopping())
        return True
    return host.hand_over(name, reply_channel, work)


def _host() -> Host | None:
    pending = current()
    return None if pending is None else pending.host


def leave(stopping: Stopping) -> None:
    """Make every send in this context immediate from now on, because its consumer has ended.

    Arguments:
        stopping: the event for ``stopping_of_worker``.
    """
    _current.set(None)
    _stopping.set(stopping)


def stopping_of_worker() -> Stopping:
    """The event that is set when the worker of this context's long work stops."""
    return _stopping.get() or Stopping()


def end_turn(layer: BaseChannelLayer, end: Delivery) -> None:
    """End a turn after all messages of the consumer, or now if no consumer runs in this context."""
    pending = current()
    if pending is None:
        layer.send_now(end)
    else:
        pending.turn_ends = [*pending.turn_ends, (layer, end)]
