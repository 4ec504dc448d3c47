"""Shipments: the messages of one call, until all answers have come.

If an answer is lost, nobody knows whether the messages arrived. So a taker numbers its shipments, and each server
keeps the number of the last one, with the positions of what it refused (``send.lua``). Then the taker can send the
same shipment again, and no message arrives twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from channels_classic.layers.redis.queues import Push
from channels_classic.layers.takers import Taker
from channels_classic.layers.types import Delivery


@dataclass
class Shipment:
    """Messages on their way.

    Arguments:
        messages: the messages, without the ends of turns.
        pushes: the entries that still have to be sent.
        number: the number of the shipment, greater than those before; ``None`` if no taker sends.
        remembered: groups and their remembered routes, if these must not have changed.
    """

    messages: Sequence[Delivery]
    pushes: Sequence[Push]
    number: int | None = None
    remembered: Mapping[str, Sequence[str]] = field(default_factory=dict)

    # For several servers.
    attempt: int = 0
    """The number of servers that were asked to take what others refused."""
    start: int = 0
    """The position of the first server."""
    refused: dict[int, list[Push]] = field(default_factory=dict)
    """For each server that has answered in this attempt, the pushes that it refused."""
    full: list[int] = field(default_factory=list)
    """The positions of messages that no server takes."""

    def __bool__(self) -> bool:
        return bool(self.pushes or self.remembered)


def messages_of(deliveries: Sequence[Delivery]) -> list[Delivery]:
    """The messages among deliveries, without the ends of turns."""
    return [delivery for delivery in deliveries if delivery.turn_end is None]


def unconfirmed(taker: Taker, messages: Sequence[Delivery]) -> Shipment | None:
    """The shipment of these messages, if its answer was lost."""
    shipment = taker.unconfirmed
    if isinstance(shipment, Shipment) and len(shipment.messages) == len(messages):
        # They have to be the same objects, because equal messages may be different ones.
        if all(one is other for one, other in zip(shipment.messages, messages, strict=True)):
            return shipment
    return None
