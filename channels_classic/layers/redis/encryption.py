"""Symmetric encryption of what lies in Redis (specification, section 3)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Any


def make_cipher(keys: Any) -> Cipher | None:
    """The cipher for the value of ``symmetric_encryption_keys``; ``None`` if there are no keys.

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


class Cipher:
    """Encrypts with the first key and decrypts with any: so keys can be changed without losing a message.

    Arguments:
        keys: any strings; the Fernet key is made of each by SHA-256.

    Raises:
        ValueError: the package ``cryptography`` is not there.
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

    def encrypt(self, body: bytes) -> bytes:
        """``body`` as a Fernet token."""
        return self._fernet.encrypt(body)

    def decrypt(self, token: bytes) -> bytes:
        """What was encrypted.

        Raises:
            ValueError: with none of our keys.
        """
        try:
            return self._fernet.decrypt(token)
        except (self._invalid, TypeError) as error:
            raise ValueError(
                "encrypted with a key that is not in symmetric_encryption_keys, or not at all"
            ) from error


def _fernet_key(key: str | bytes) -> bytes:
    secret = key.encode() if isinstance(key, str) else key
    return base64.urlsafe_b64encode(hashlib.sha256(secret).digest())
