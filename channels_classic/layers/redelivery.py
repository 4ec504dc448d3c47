"""The rules, the same for every layer, for the messages that a worker had in-flight when it died."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any

from channels_classic.layers import names
from channels_classic.layers.tracking import Progress
from channels_classic.layers.turns import is_order
from channels_classic.layers.types import Lost, Process, Turn

GOODBYE_CHANNEL = "websocket.disconnect"
"""The channel to which the wills of sockets are sent."""

LOST_GOODBYE_CHANNEL = "websocket.disconnect.lost"
"""The channel to which a message of ``GOODBYE_CHANNEL`` goes that is lost. Its consumer does not run again, but a
worker drops the channel session of the socket, of which a layer knows nothing."""

BAD_GATEWAY: dict[str, Any] = {
    "status": 502,
    "headers": [[b"content-type", b"text/plain; charset=utf-8"]],
    "content": b"Bad Gateway (502): the worker that was answering has died",
}
"""The answer to a client whose request is lost. If the client has a part of its answer already, its connection
ends."""

REFUSAL: dict[str, Any] = {"close": True}
"""The answer to a socket whose ``websocket.connect`` is lost."""


class Fate(enum.Enum):
    """The possible fates of a message."""

    BACK = "back"
    """It was not started, and goes back to its channel as it is."""

    AGAIN = "again"
    """It was started, and goes back because its channel is at-least-once."""

    DEAD_LETTER = "dead letter"
    """It would run again, but was delivered too often already."""

    LOST = "lost"
    """It was started, and does not run again."""

    DONE = "done"
    """Its consumer had ended, and all that it sent is on its way; only others of its batch were not done."""


class Rules:
    """Decides for the messages of one dead process.

    Arguments:
        process: the process; its details may name channels that are at-least-once.
        is_at_least_once: tells whether the keyword ``at_least_once`` of the layer names a channel.
        max_deliveries: how many times a message is delivered at most.
    """

    def __init__(self, process: Process, is_at_least_once: Callable[[str], bool], max_deliveries: int) -> None:
        self._by_route = frozenset(process.details.get("at_least_once") or ())
        self._by_keyword = is_at_least_once
        self._max_deliveries = max_deliveries

    def fate(self, channel: str, deliveries: int, place: int, progress: Progress) -> Fate:
        """Decide what happens to a message.

        Arguments:
            deliveries: how many times it was delivered so far.
            place: its place in its batch, from 0.
            progress: how far its taker had come with the batch.
        """
        if place >= progress.started:
            return Fate.BACK
        if progress.done >> place & 1:
            return Fate.DONE
        if channel not in self._by_route and not self._by_keyword(channel):
            return Fate.LOST
        return Fate.AGAIN if deliveries < self._max_deliveries else Fate.DEAD_LETTER

    def reason(self, deliveries: int) -> str:
        """A text that says why a message became a dead letter."""
        return f"Its worker died while it ran, {deliveries} times."


def progress_of(
    started: Mapping[str, Progress] | None, process: Process, taker: str, batch: int, size: int
) -> Progress:
    """Find how far a taker had come with a batch.

    Arguments:
        started: what the journal of the process says; ``None`` if there is no journal to read.
        process: the process, with the details of its last heartbeat.
        taker: the name of the taker.
        batch: the number of the batch.
        size: the number of messages in the batch.
    """
    if started is None:
        return Progress(batch, size, _told_done(process, taker, batch))
    last = started.get(taker)
    if last is None or last.batch < batch:
        return Progress(batch, 0)
    # If it has begun a later batch, it was done with this one, and one of several servers has not heard of that.
    return last if last.batch == batch else Progress(batch, size, (1 << size) - 1)


def _told_done(process: Process, taker: str, batch: int) -> int:
    """The bits of the messages that were done by the last heartbeat of the process."""
    match process.details.get("done"):
        case {**told}:
            match told.get(taker):
                case [number, int(done)] if number == batch:
                    return done
    return 0


def turn_of(channel: str, content: Mapping[str, Any]) -> Turn | None:
    """The turn of a message, if it is one that can have a turn."""
    reply_channel, order = content.get("reply_channel"), content.get("order")
    if isinstance(reply_channel, str) and is_order(order):
        return Turn(reply_channel, order, channel)
    return None


def is_lost_goodbye(channel: str, fate: Fate) -> bool:
    """Whether a message goes to ``LOST_GOODBYE_CHANNEL``."""
    return channel == GOODBYE_CHANNEL and fate is Fate.LOST


def answer_to(lost: Lost) -> tuple[str, dict[str, Any]] | None:
    """For a lost message whose client waits for an answer: its reply channel, and what to send to it."""
    answers = {"http.request": BAD_GATEWAY, "websocket.connect": REFUSAL}
    reply_channel = lost.content.get("reply_channel")
    if lost.channel not in answers or not is_channel(reply_channel):
        return None
    return str(reply_channel), answers[lost.channel]


def is_channel(name: Any) -> bool:
    """Whether ``name``, which comes from a message, is a valid channel name."""
    try:
        names.check_channel(name)
    except TypeError:
        return False
    return True


def own_queues(process: str, takers: int) -> list[str]:
    """The names of the queues that belong to a process.

    Arguments:
        takers: how many takers the process has, or had.
    """
    return [f"{process}!", *(f"{process}.{number}!" for number in range(takers))]
