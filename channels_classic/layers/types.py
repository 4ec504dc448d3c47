"""What goes into a channel layer and comes out of it: the types that all its parts share."""

from __future__ import annotations

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


class Delivery(NamedTuple):
    """A message that has been checked and packed, ready for ``send_batch``.

    Arguments:
        name: a channel or, with ``to_group``, a group.
        payload: the packed message.
        to_group: whether it is for all members of a group.
        turn_end: then it is not a message, but the end of a turn of the reply channel ``name``.
    """

    name: str
    payload: bytes
    to_group: bool = False
    turn_end: TurnEnd | None = None


class Received(NamedTuple):
    """A message out of ``receive_batch``.

    Arguments:
        channel: that it was sent to.
        content: may be shared with other entries of the same batch (the members of a group): read it only.
        receipt: what ``give_back`` needs; it means something to the layer alone.
    """

    channel: str
    content: dict[str, Any]
    receipt: Any = None
