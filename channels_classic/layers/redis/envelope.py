"""The entries of queues in the Redis layer: a message, or a change of membership, with the name that it is for.

    kind (1 byte) | length of the name (1 byte) | name | payload

The Lua scripts put the time of expiry, 16 digits, in front of it (see ``send.lua``).
"""

from __future__ import annotations

from typing import NamedTuple

from channels_classic.layers.redis.encryption import Cipher
from channels_classic.layers.types import quick

MESSAGE = b"m"
"""A message. The name is the local part of its channel; it is empty if the channel is not process-specific."""

AGAIN = b"a"
"""A message that was delivered before, to workers that have died with it. The first byte of the payload is the
number of times."""

GROUP_MESSAGE = b"g"
"""A message for the members of the named group in the process."""

JOIN = b"j"
"""From here on, a channel of the process is a member of the group. The payload is the local part of the
channel."""

LEAVE = b"l"
"""From here on, the channel is no longer a member."""

STAMP_LENGTH = 16
LENGTH_AT = STAMP_LENGTH + len(MESSAGE)
NAME_AT = LENGTH_AT + 1
"""The positions of the length and of the name in the value of a queue, behind the time of expiry."""

_KINDS = (MESSAGE, AGAIN, GROUP_MESSAGE, JOIN, LEAVE)


class Envelope(NamedTuple):
    """An opened envelope. ``expires`` is 0 if only the queue has the time of expiry."""

    kind: bytes
    name: str
    payload: bytes
    expires: int = 0

    @property
    def before(self) -> int:
        """The number of times that the message was delivered before."""
        return self.payload[0] if self.kind == AGAIN and self.payload else 0

    @property
    def packed(self) -> bytes:
        """The packed message."""
        return self.payload[1:] if self.kind == AGAIN else self.payload

    def end(self, stamp: bytes) -> bytes:
        """The time of expiry of the message, as a stamp.

        Arguments:
            stamp: the stamp in the queue. Somebody who can write to Redis may have delayed it.
        """
        return min(stamp, b"%016d" % self.expires) if self.expires else stamp


quick_envelope = quick(Envelope)


class Envelopes:
    """Seals and opens envelopes.

    Arguments:
        cipher: encrypts the envelopes; ``None`` for no encryption.
    """

    def __init__(self, cipher: Cipher | None) -> None:
        self._cipher = cipher

    @property
    def are_bound(self) -> bool:
        """Whether an envelope can be opened in its own queue only."""
        return self._cipher is not None

    def seal(self, kind: bytes, name: str, payload: bytes, queue: str, expires: int) -> bytes:
        """The bytes of an envelope.

        Arguments:
            queue: the queue that it is for.
            expires: the latest time of expiry, in microseconds.
        """
        encoded = name.encode()
        body = b"%b%c%b%b" % (kind, len(encoded), encoded, payload)
        return body if self._cipher is None else self._cipher.seal(_place(queue), expires, body)

    def seal_message(self, name: str, payload: bytes, before: int, queue: str, expires: int) -> bytes:
        """The envelope of a message that was delivered ``before`` times already."""
        if before:
            return self.seal(AGAIN, name, bytes((min(before, 255),)) + payload, queue, expires)
        return self.seal(MESSAGE, name, payload, queue, expires)

    def open(self, sealed: bytes, queue: str) -> Envelope:
        """Open an envelope that was sealed for ``queue``.

        Raises:
            ValueError: the bytes are not an envelope, or the envelope is for another queue.
        """
        expires, body = (0, sealed) if self._cipher is None else self._cipher.open(sealed, _place(queue))
        kind = body[:1]
        if kind not in _KINDS or len(body) < 2 or len(body) < 2 + body[1]:
            raise ValueError(f"not an envelope of a channel layer: {body[:40]!r}")
        end = 2 + body[1]
        try:
            return quick_envelope((kind, body[2:end].decode("ascii"), body[end:], expires))
        except UnicodeDecodeError:
            raise ValueError(f"not an envelope of a channel layer: {body[:40]!r}") from None

    def for_one(self, value: bytes, queue: str, name: str) -> bytes:
        """An entry of a queue as one for a single channel: of a group's message, the part of one member.

        Arguments:
            name: the local part of the channel.
        """
        stamp = value[:STAMP_LENGTH]
        envelope = self.open(value[STAMP_LENGTH:], queue)
        end = envelope.end(stamp)
        return end + self.seal_message(name, envelope.packed, envelope.before, queue, int(end))


def _place(queue: str) -> str:
    return f"queue:{queue}"


def time_of_expiry(value: bytes) -> int:
    """The time of expiry of an entry (microseconds, by its server's clock); 0 if no layer has made the entry."""
    stamp = value[:STAMP_LENGTH]
    return int(stamp) if stamp.isdigit() else 0
