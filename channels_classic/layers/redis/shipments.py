"""Shipments: the messages that one call sends, until all answers are there.

If an answer is lost, nobody knows whether the messages arrived. So a taker numbers its shipments, and each server
keeps the number of the last one, with the positions of what it refused (``send.lua``). Then the taker can send the
same shipment again, and no message arrives twice.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from channels_classic.layers.redis.queues import Push
from channels_classic.layers.takers import Taker
from channels_classic.layers.types import Delivery


@dataclass
class Shipment:
    """Messages on their way.

    Arguments:
        messages: what the caller sends, without the ends of turns.
        pushes: the entries that are still to be sent.
        number: greater than those of the taker's shipments before; ``None`` if no taker sends.
        remembered: groups and their routes, if these have to be right still.
    """

    messages: Sequence[Delivery]
    pushes: Sequence[Push]
    number: int | None = None
    remembered: Mapping[str, Sequence[str]] = field(default_factory=dict)

    # Where there are several servers.
    attempt: int = 0
    """How many servers have been asked to take what others refused."""
    start: int = field(default_factory=lambda: random.randrange(2**16))
    """Which server is the first."""
    refused: dict[int, list[Push]] = field(default_factory=dict)
    """For each server that has answered in this attempt, what it refused."""
    full: list[int] = field(default_factory=list)
    """The positions of messages that no server takes."""

    def __bool__(self) -> bool:
        return bool(self.pushes or self.remembered)


def messages_of(deliveries: Sequence[Delivery]) -> list[Delivery]:
    """What is sent, without the ends of turns."""
    return [delivery for delivery in deliveries if delivery.turn_end is None]


def unconfirmed(taker: Taker, messages: Sequence[Delivery]) -> Shipment | None:
    """The shipment of these messages whose answer was lost, if that is so."""
    shipment = taker.unconfirmed
    if isinstance(shipment, Shipment) and len(shipment.messages) == len(messages):
        # Equal messages may be others.
        if all(one is other for one, other in zip(shipment.messages, messages, strict=True)):
            return shipment
    return None
