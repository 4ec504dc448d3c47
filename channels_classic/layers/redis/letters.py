"""Dead letters in Redis. All are on the first server."""

from __future__ import annotations

import time

from channels_classic.layers import codec
from channels_classic.layers.redis.clocks import Clocks
from channels_classic.layers.redis.connections.steps import Steps, Trips
from channels_classic.layers.redis.encryption import Cipher, seal, unseal
from channels_classic.layers.redis.envelope import MESSAGE, Envelopes
from channels_classic.layers.redis.keys import ServerKeys
from channels_classic.layers.redis.registry import FIRST
from channels_classic.layers.tracking import MOST_DEAD_LETTER_BYTES, MOST_DEAD_LETTERS
from channels_classic.layers.types import DeadLetter
from channels_classic.log import logger


class DeadLetters:
    """Keeps the dead letters.

    Arguments:
        keys: the keys of the layer, for each server.
        clocks: the clocks of the servers.
        envelopes: seal letters that are sent again.
        cipher: encrypts letters that are kept.
        expiry: seconds that a message lives.
    """

    def __init__(
        self, keys: ServerKeys, clocks: Clocks, envelopes: Envelopes, cipher: Cipher | None, expiry: float
    ) -> None:
        self._keys = keys[FIRST]
        self._clocks = clocks
        self._envelopes = envelopes
        self._cipher = cipher
        self._expiry = expiry

    def keep(self, identity: str, channel: str, payload: bytes, deliveries: int, reason: str) -> Steps[None]:
        """Keep a dead letter, unless there is one with the same identity."""
        letter = {
            "channel": channel,
            "payload": payload,
            "deliveries": deliveries,
            "died": time.time(),
            "reason": reason,
        }
        stored = seal(self._cipher, _place(identity), codec.pack(letter))
        keys = (self._keys.letters, self._keys.letter_times)
        trips = Trips()
        trips.add(FIRST, ("letter_keep", 2, *keys, identity, stored, MOST_DEAD_LETTERS, MOST_DEAD_LETTER_BYTES))
        yield trips

    def all(self) -> Steps[list[DeadLetter]]:
        """All dead letters, the oldest first."""
        trips = Trips()
        trips.add(FIRST, ("ZRANGE", self._keys.letter_times, 0, -1))
        identities = (yield trips)[FIRST][0]
        if not identities:
            return []
        trips = Trips()
        trips.add(FIRST, ("HMGET", self._keys.letters, *identities))
        stored = (yield trips)[FIRST][0]
        letters = (self._opened(one.decode(), letter) for one, letter in zip(identities, stored, strict=True))
        return [letter for letter in letters if letter is not None]

    def count(self) -> Steps[int]:
        """The number of dead letters."""
        trips = Trips()
        trips.add(FIRST, ("ZCARD", self._keys.letter_times))
        return int((yield trips)[FIRST][0])

    def retry(self, identity: str) -> Steps[bool]:
        """Send a dead letter to its channel once more. Returns whether it was there."""
        trips = Trips()
        trips.add(FIRST, ("HGET", self._keys.letters, identity))
        letter = self._opened(identity, (yield trips)[FIRST][0])
        if letter is None:
            return False
        expires = self._clocks.now() + int(self._expiry * 1_000_000)
        body = self._envelopes.seal(MESSAGE, "", codec.pack(letter.content), letter.channel, expires)
        return (yield from self._end(identity, [letter.channel], body))

    def drop(self, identity: str) -> Steps[bool]:
        """Drop a dead letter. Returns whether it was there."""
        return self._end(identity, [], b"")

    def _end(self, identity: str, channels: list[str], body: bytes) -> Steps[bool]:
        keys = [self._keys.letters, self._keys.letter_times, *self._keys.with_bells(channels)]
        trips = Trips()
        trips.add(FIRST, ("letter_end", len(keys), *keys, identity, int(self._expiry * 1000), body))
        return bool((yield trips)[FIRST][0])

    def _opened(self, identity: str, stored: bytes | None) -> DeadLetter | None:
        if stored is None:
            return None
        try:
            letter = codec.unpack(unseal(self._cipher, _place(identity), stored))
            content = codec.unpack(letter["payload"])
            return DeadLetter(
                identity, letter["channel"], content, letter["deliveries"], letter["died"], letter["reason"]
            )
        except (ValueError, KeyError, TypeError) as error:
            logger.error("The dead letter %s cannot be read: %s.", identity, error)
            return None


def _place(identity: str) -> str:
    return f"letter:{identity}"
