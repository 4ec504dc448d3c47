"""The entries of queues in the Redis layer: a message or a change of membership, with the name it is for.

    kind (1 byte) | length of the name (1 byte) | name | payload

The Lua scripts put the time of expiry in front of it, 16 digits (see ``send.lua``).
"""

from __future__ import annotations

from typing import NamedTuple

from channels_classic.layers.redis.encryption import Cipher

MESSAGE = b"m"
"""A message; the name is the local part of its channel, empty for a channel of no process."""

AGAIN = b"a"
"""A message that was handed out before, by workers that have died with it: the first byte of the payload says how
often."""

GROUP_MESSAGE = b"g"
"""A message for the members that the process holds of the group that is named."""

JOIN = b"j"
"""A channel of the process (the payload is its local part) is a member of the group from here on."""

LEAVE = b"l"
"""It is not a member any more from here on."""

STAMP_LENGTH = 16
_KINDS = (MESSAGE, AGAIN, GROUP_MESSAGE, JOIN, LEAVE)


class Envelope(NamedTuple):
    """An opened envelope; ``expires`` is 0 where only the queue tells when it ends."""

    kind: bytes
    name: str
    payload: bytes
    expires: int = 0

    @property
    def before(self) -> int:
        """The number of times that a message was handed out before."""
        return self.payload[0] if self.kind == AGAIN and self.payload else 0

    @property
    def packed(self) -> bytes:
        """A message, packed."""
        return self.payload[1:] if self.kind == AGAIN else self.payload


class Envelopes:
    """Seals and opens envelopes.

    Arguments:
        cipher: encrypts what is sealed, if there is one.
    """

    def __init__(self, cipher: Cipher | None) -> None:
        self._cipher = cipher

    @property
    def are_bound(self) -> bool:
        """Whether an envelope cannot be opened elsewhere than in its queue."""
        return self._cipher is not None

    def seal(self, kind: bytes, name: str, payload: bytes, queue: str, expires: int) -> bytes:
        """The bytes of an envelope.

        Arguments:
            queue: that it is for.
            expires: when it ends at the latest, in microseconds.
        """
        encoded = name.encode()
        body = kind + bytes((len(encoded),)) + encoded + payload
        return body if self._cipher is None else self._cipher.seal(_place(queue), expires, body)

    def seal_message(self, name: str, payload: bytes, before: int, queue: str, expires: int) -> bytes:
        """The envelope of a message that was handed out so often before."""
        if before:
            return self.seal(AGAIN, name, bytes((min(before, 255),)) + payload, queue, expires)
        return self.seal(MESSAGE, name, payload, queue, expires)

    def open(self, sealed: bytes, queue: str) -> Envelope:
        """The envelope that was sealed for this queue.

        Raises:
            ValueError: the bytes are not those of an envelope, or of one for another queue.
        """
        expires, body = (0, sealed) if self._cipher is None else self._cipher.open(sealed, _place(queue))
        kind = body[:1]
        if kind not in _KINDS or len(body) < 2 or len(body) < 2 + body[1]:
            raise ValueError(f"not an envelope of a channel layer: {body[:40]!r}")
        end = 2 + body[1]
        try:
            return Envelope(kind, body[2:end].decode("ascii"), body[end:], expires)
        except UnicodeDecodeError:
            raise ValueError(f"not an envelope of a channel layer: {body[:40]!r}") from None


def _place(queue: str) -> str:
    return f"queue:{queue}"


def time_of_expiry(value: bytes) -> int:
    """When an entry of a queue ends (microseconds, by its server's clock); 0 if no layer has put it there."""
    stamp = value[:STAMP_LENGTH]
    return int(stamp) if stamp.isdigit() else 0
