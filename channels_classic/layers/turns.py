"""Turns: the messages of one client run one after another, by their ``order`` (specification, section 8).

The state of a client is one number, the order whose turn it is, and whether that message runs. The layer keeps a
message that asks too early beside that number, and puts it in front of its channel when its turn has come. So no
worker waits for a turn. Every step is one atomic operation of the layer: in ``memory/turns.py`` under the lock of
the layer, in ``turns.lua`` for Redis. This module has what both share.

Two things may never come: the end of a turn (its worker was killed), and a message (it expired, or was lost with
its worker). The next step of any client passes over them after a while.

An answer may be lost on its way, so every step can be repeated: the order identifies an end, and a token of the
caller identifies an enter or a suspend.
"""

from __future__ import annotations

import enum
from typing import Any, TypeGuard

from channels_classic.layers import names
from channels_classic.layers.exceptions import ChannelFull
from channels_classic.layers.types import Turn
from channels_classic.log import logger

LEASE_SECONDS = 300.0
"""Seconds for which a message keeps its turn without ending it. This is longer than any consumer should take,
because after it the next message runs beside the first, and short enough for a client whose worker was killed."""

RENEWED_LEASE_SECONDS = 10.0
"""The same for a process that sends heartbeats: each heartbeat renews the lease."""

EXTRA_PATIENCE = 3.0
"""Seconds beyond ``expiry`` that messages wait for an earlier one that does not come. It was sent before them, so
by then it has expired, even if a worker took it at the last moment, or needed some time to put it back."""

MAX_WAITING = 10_000
MAX_WAITING_BYTES = 2**23
"""How many messages of one client, and bytes of them, may wait for their turn."""

LARGEST_ORDER = 2**53 - 2
"""The largest ``order`` that a number in Lua can tell from the next one."""


class Verdict(enum.Enum):
    """The fate of a message that asks for its turn."""

    RUN = "run"
    WAIT = "wait"
    WAITS_ALREADY = "waits"
    PASSED = "passed"
    FULL = "full"


def is_order(value: Any) -> TypeGuard[int]:
    """Whether a value can be the order of a message."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_ORDER


def check_turn(turn: Turn) -> None:
    """Check that a message can wait for its turn.

    Raises:
        TypeError: the channel is not a normal one.
        ValueError: the order is not an ``int`` from 0 on.
    """
    if not is_order(turn.order):
        raise ValueError(f"The order of a message must be an int, 0 or more and below 2**53, not {turn.order!r}.")
    names.check_channel(turn.channel)
    if "?" in turn.channel or "!" in turn.channel:
        raise TypeError(f"Messages of {turn.channel!r} cannot be handled in order: it is not a normal channel.")


def may_run(verdict: Verdict, turn: Turn) -> bool:
    """Whether a message may run after this verdict: the result of ``enter_turn``.

    Raises:
        ChannelFull: the message was dropped, because too many messages of its client wait already.
    """
    client, order, channel = turn.reply_channel, turn.order, turn.channel
    if verdict is Verdict.FULL:
        raise ChannelFull(
            f"Message {order} of {client} on {channel!r} was dropped: too many messages of this client, or too "
            "large ones, wait for their turn. Does their consumer take too long for what the client sends?"
        )
    if verdict in (Verdict.PASSED, Verdict.WAITS_ALREADY):
        logger.debug("Message %d of %s on %r was dropped: it came twice, or too late.", order, client, channel)
    return verdict is Verdict.RUN


def report_passed_over(client: str, first: int, last: int, reason: str) -> None:
    """Log that the layer no longer waits for the messages ``first`` to ``last`` of a client."""
    orders = f"message {first}" if first == last else f"messages {first} to {last}"
    if reason == "lease":
        logger.warning(
            "The turn of %s of %s did not end in time, so the next one goes on: was its worker killed?",
            orders,
            client,
        )
    else:
        logger.warning(
            "Later messages of %s have waited in vain for %s: lost, or handled by a consumer that is not "
            "decorated with enforce_ordering? All consumers of a socket have to be.",
            client,
            orders,
        )
