"""The types that all parts of a channel layer share: what goes into it, and what comes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeVar

Record = TypeVar("Record", bound=tuple[Any, ...])


def quick(kind: type[Record]) -> Callable[[tuple[Any, ...]], Record]:
    """A constructor that takes one tuple, with the values of all fields.

    It is for what is made for every message: the constructor of a ``NamedTuple`` takes 0.5 µs, and this one 0.2.
    """
    return partial(tuple.__new__, kind)


class Turn(NamedTuple):
    """The turn of one message among those of its client (specification, section 8).

    Arguments:
        reply_channel: the reply channel of the client.
        order: the number of the message, from 0 and without gaps.
        channel: the normal channel that the message came from.
        slight: whether to wait for the message of order 0 only. Then the other messages take no turn, and have
            none to end.
        token: unique to this copy of the message. Without one, a message that asks again counts as a duplicate.
    """

    reply_channel: str
    order: int
    channel: str
    slight: bool = False
    token: str = ""


class TurnEnd(NamedTuple):
    """The end of a turn, which is sent behind the messages of its consumer.

    Arguments:
        order: the order of the message whose consumer is done.
        last: whether no message of that client will follow.
    """

    order: int
    last: bool = False


class Client(NamedTuple):
    """The socket that a message comes from.

    The layer stores this in the same atomic step that takes the message, and not if it refuses the message.

    Arguments:
        channel: the reply channel of the socket.
        order: the order of this message; ``None`` for the last message of the socket.
        will: with the first message, the ``websocket.disconnect`` to send if the interface server dies. It is
            packed, and has no order, which the layer adds.
    """

    channel: str
    order: int | None = None
    will: bytes | None = None


quick_client = quick(Client)


class Delivery(NamedTuple):
    """A message that has been checked and packed, ready for ``send_batch``.

    Arguments:
        name: a channel or, with ``to_group``, a group.
        payload: the packed message.
        to_group: whether it goes to all members of a group.
        turn_end: if given, this is not a message, but the end of a turn of the reply channel ``name``.
        client: the socket that the message comes from, if the layer keeps sockets.
    """

    name: str
    payload: bytes
    to_group: bool = False
    turn_end: TurnEnd | None = None
    client: Client | None = None


quick_delivery = quick(Delivery)


class Received(NamedTuple):
    """A message that ``receive_batch`` returned.

    Arguments:
        channel: the channel that it was sent to.
        content: the message. Do not change it: other entries of the same batch (members of a group) may share it.
        receipt: what ``give_back`` needs. Only the layer understands it.
        deliveries: how many times the message was delivered, this time included. More than 1 only on a channel
            that is at-least-once, after a worker died with it.
    """

    channel: str
    content: dict[str, Any]
    receipt: Any = None
    deliveries: int = 1


quick_received = quick(Received)


class Process(NamedTuple):
    """A process that uses the layer: a worker process or an interface server process.

    Arguments:
        name: unique and random, such as ``worker.0f3c…``. The process owns the process-specific channels
            ``<name>!`` and, for each of its takers, ``<taker>!``. They end with the process.
        details: plain values for people and for a sweep: ``kind``, ``host``, ``pid``, ``started`` (Unix time),
            ``journal`` (a path), ``host_id``, ``threads``, ``channels``, ``at_least_once`` (channels that are
            at-least-once by their route), ``version``, ``numbers`` (counters), ``groups`` (of an
            interface server: its ``GroupSizes`` as a dict).
    """

    name: str
    details: Mapping[str, Any]


class Lease(NamedTuple):
    """The lease of a turn whose consumer runs.

    Arguments:
        reply_channel, order, token: as in ``enter_turn``.
    """

    reply_channel: str
    order: int
    token: str


class Beat(NamedTuple):
    """The answer to a heartbeat.

    Arguments:
        lapsed: whether the process itself was declared dead, so that others have taken over what it had. It must
            drop that, and go on under a new name.
        dead: processes whose heartbeats have stopped, and which are to be swept.
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
        back: how many messages were not started and are back in front of their channels.
        again: how many were started and are back, because their channel is at-least-once.
        dead_letters: how many were delivered too often, and are kept as dead letters.
        lost: the messages that were started and do not run again.
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
        deliveries: how many times it was delivered.
        died: the Unix time at which it became a dead letter.
        reason: a text for people.
    """

    identity: str
    channel: str
    content: dict[str, Any]
    deliveries: int
    died: float
    reason: str
