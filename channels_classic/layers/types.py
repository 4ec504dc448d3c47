"""The types that all parts of a channel layer share: its input and its output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Turn(NamedTuple):
    """The turn of one message among those of its client (specification, section 8).

    Arguments:
        reply_channel: of the client.
        order: of the message: from 0, without gaps.
        channel: a normal channel, which the message came over.
        slight: wait for the message of order 0 only; any other one is then no turn, and has no end.
        token: unique to this copy of the message; without one, a message that asks again has come twice.
    """

    reply_channel: str
    order: int
    channel: str
    slight: bool = False
    token: str = ""


class TurnEnd(NamedTuple):
    """The end of a turn, which travels behind what its consumer sent.

    Arguments:
        order: of the message whose consumer is done.
        last: no message of that client will follow.
    """

    order: int
    last: bool = False


class Client(NamedTuple):
    """The part of a delivery that describes the socket that it comes from.

    The layer keeps this in the same step in which it takes the message, and forgets it if the message is refused.

    Arguments:
        channel: the reply channel of the socket.
        order: of this message; ``None`` with the last message of the socket, which has left.
        will: with the first message: what to send as ``websocket.disconnect`` if the interface server dies.
            Packed, and without its order, which the layer adds.
    """

    channel: str
    order: int | None = None
    will: bytes | None = None


class Delivery(NamedTuple):
    """A message that has been checked and packed, ready for ``send_batch``.

    Arguments:
        name: a channel or, with ``to_group``, a group.
        payload: the packed message.
        to_group: whether it is for all members of a group.
        turn_end: then it is not a message, but the end of a turn of the reply channel ``name``.
        client: the socket that the message comes from, if the layer is to know of it.
    """

    name: str
    payload: bytes
    to_group: bool = False
    turn_end: TurnEnd | None = None
    client: Client | None = None


class Received(NamedTuple):
    """A message out of ``receive_batch``.

    Arguments:
        channel: that it was sent to.
        content: may be shared with other entries of the same batch (the members of a group): read it only.
        receipt: what ``give_back`` needs; it means something to the layer alone.
        deliveries: how often the message was handed out, this time included. More than 1 only on a channel that is
            at-least-once, if an earlier worker died with it.
    """

    channel: str
    content: dict[str, Any]
    receipt: Any = None
    deliveries: int = 1


class Process(NamedTuple):
    """A process that uses the layer: a worker process or an interface server process.

    Arguments:
        name: unique and random, such as ``worker.0f3c…``. The process-specific channel ``<name>!`` is its own, and
            so is ``<taker>!`` for each of its takers. They end with the process.
        details: plain values for people and for those who sweep: ``kind``, ``host``, ``pid``, ``started`` (Unix
            time), ``journal`` (a path), ``host_id``, ``threads``, ``channels``, ``at_least_once`` (channels
            that are at-least-once by their route), ``version``, ``numbers`` (what it has counted).
    """

    name: str
    details: Mapping[str, Any]


class Lease(NamedTuple):
    """The lease of a turn that runs.

    Arguments:
        reply_channel, order, token: as in ``enter_turn``.
    """

    reply_channel: str
    order: int
    token: str


class Beat(NamedTuple):
    """The answer to a heartbeat.

    Arguments:
        lapsed: the process itself was declared dead, and others have taken over what it had. It must drop that,
            and go on under a new name.
        dead: processes that have stopped beating and are to be swept.
    """

    lapsed: bool
    dead: list[Process]


class Lost(NamedTuple):
    """A message that a dead worker had started, and that does not run again."""

    channel: str
    content: dict[str, Any]


class Swept(NamedTuple):
    """The result of a sweep.

    Arguments:
        back: how many messages had not been started and are back in front of their channels.
        again: how many had been started and are back, because their channel is at-least-once.
        dead_letters: how many were delivered too often, and are kept as dead letters.
        lost: what had been started and does not run again.
        goodbyes: how many wills were sent.
    """

    back: int
    again: int
    dead_letters: int
    lost: list[Lost]
    goodbyes: int


class DeadLetter(NamedTuple):
    """A message that killed its workers too often.

    Arguments:
        identity: for ``retry_dead_letter`` and ``drop_dead_letter``.
        deliveries: how often it was handed out.
        died: when it became a dead letter (Unix time).
        reason: for people.
    """

    identity: str
    channel: str
    content: dict[str, Any]
    deliveries: int
    died: float
    reason: str
