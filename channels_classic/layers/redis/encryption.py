"""Symmetric encryption of the data in Redis (specification, section 3).

Somebody who can write to Redis but has no key can neither read nor make a message. A token is also bound to its
place, and a message to its time of expiry, so a token cannot be moved, or put back after its time.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Any


def make_cipher(keys: Any) -> Cipher | None:
    """Make the cipher for the value of ``symmetric_encryption_keys``; ``None`` if there are no keys.

    Raises:
        ValueError: it is not a list of strings.
    """
    if keys is None:
        return None
    if not isinstance(keys, (list, tuple)) or not all(isinstance(key, (str, bytes)) for key in keys):
        raise ValueError("symmetric_encryption_keys must be a list of strings; put a single key into a list.")
    if not all(keys):
        raise ValueError("symmetric_encryption_keys has an empty key, which protects nothing. Take it out.")
    return Cipher(keys) if keys else None


def seal(cipher: Cipher | None, place: str, body: bytes) -> bytes:
    """Make what Redis stores of ``body``: encrypted and bound to its place, if there is a cipher."""
    return body if cipher is None else cipher.seal(place, 0, body)


def unseal(cipher: Cipher | None, place: str, stored: bytes) -> bytes:
    """Open what ``seal`` made.

    Raises:
        ValueError: it was sealed with a key that this cipher lacks, or for another place.
    """
    return stored if cipher is None else cipher.open(stored, place)[1]


_BOUND = b"\x02"
"""The first bytes of what is bound to a place. The time of expiry (16 digits), the length of the name of the place
(2 bytes), the name and the body follow."""

_HEAD = len(_BOUND) + 16 + 2


class Cipher:
    """Encrypts with the first key and decrypts with all, so that keys can be changed without losing a message.

    Arguments:
        keys: any strings. The Fernet key of each is its SHA-256.

    Raises:
        ValueError: the package ``cryptography`` is not installed.
    """

    def __init__(self, keys: Sequence[str | bytes]) -> None:
        try:
            from cryptography.fernet import Fernet, InvalidToken, MultiFernet
        except ImportError as error:
            raise ValueError(
                "symmetric_encryption_keys needs the package cryptography: "
                "pip install 'channels-classic[encryption]'."
            ) from error
        self._invalid = InvalidToken
        self._fernet = MultiFernet([Fernet(_fernet_key(key)) for key in keys])

    def seal(self, place: str, expires: int, body: bytes) -> bytes:
        """Encrypt ``body`` as a Fernet token that is bound to its place and its time of expiry.

        Arguments:
            place: the place where the token will be stored. It cannot be opened as something from another place.
            expires: the time of expiry, in microseconds; 0 if something else ends it.
        """
        name = place.encode()
        return self._fernet.encrypt(_BOUND + b"%016d" % expires + len(name).to_bytes(2, "big") + name + body)

    def open(self, token: bytes, place: str) -> tuple[int, bytes]:
        """Decrypt a token. Returns its time of expiry, and the body.

        Raises:
            ValueError: it was sealed with a key that this cipher lacks, or for another place.
        """
        try:
            bound = self._fernet.decrypt(token)
        except (self._invalid, TypeError) as error:
            raise ValueError(
                "encrypted with a key that is not in symmetric_encryption_keys, or not at all"
            ) from error
        name = place.encode()
        body_at = _HEAD + len(name)
        if not bound.startswith(_BOUND):
            raise ValueError(
                "encrypted by an older version of channels-classic, which did not bind it to its place"
            )
        if bound[_HEAD - 2 : body_at] != len(name).to_bytes(2, "big") + name:
            raise ValueError("it was encrypted for another place, and somebody has moved it here")
        return int(bound[len(_BOUND) : _HEAD - 2]), bound[body_at:]


def _fernet_key(key: str | bytes) -> bytes:
    secret = key.encode() if isinstance(key, str) else key
    return base64.urlsafe_b64encode(hashlib.sha256(secret).digest())
