"""Messages to bytes and back by MessagePack, and the limits of what a message may hold.

Every layer packs with this, the in-memory layer too. So a message that works in development works in production,
and the receiver does not see what the sender changes later.
"""

from __future__ import annotations

import json
from typing import Any

import msgpack

from channels_classic.layers.exceptions import MessageTooLarge

MAX_JSON_SIZE = 1024 * 1024
MAX_DEPTH = 200

# A byte of MessagePack becomes at most six bytes of JSON (a control character, written as \u0000). So a message
# that is shorter than this when packed cannot be too large as JSON.
_SURELY_SMALL = MAX_JSON_SIZE // 6
_SMALLEST_INT, _LARGEST_INT = -(2**63), 2**63 - 1
_LARGEST_UNSIGNED = 2**64 - 1
_PACKER_BYTES = 2**20
_packers: list[msgpack.Packer] = []
"""The packers that no thread uses now: as many as have packed at the same time."""

_SCALARS = frozenset({str, bytes, bool, float, type(None)})

old_values = False
"""Whether messages may also hold what the layers of Channels 1 accepted: ``int`` keys, ``bytearray`` and
``memoryview`` (which arrive as ``bytes``), and unsigned integers of 64 bits."""


def check_message(message: Any) -> None:
    """Check that ``message`` is a dict of values that a channel layer carries (specification, section 3).

    Raises:
        TypeError: the message holds something else; the text says what and where.
    """
    if not isinstance(message, dict):
        raise TypeError(f"A message must be a dict, not {message!r}.")
    for key, item in message.items():
        if type(key) is not str or type(item) not in _SCALARS:
            _check(message, "message", 0)
            return


def _check(value: Any, where: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise TypeError(f"A message may be nested {MAX_DEPTH} deep at most; this one goes on below {where[:200]}.")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) and not (old_values and _is_old_key(key)):
                raise TypeError(f"The keys of a message must be str, but {where} has the key {key!r}.")
            if type(item) not in _SCALARS:
                _check(item, f"{where}[{key!r}]", depth + 1)
    elif isinstance(value, (list, tuple)):
        for position, item in enumerate(value):
            if type(item) not in _SCALARS:
                _check(item, f"{where}[{position}]", depth + 1)
    elif isinstance(value, int):
        if not _SMALLEST_INT <= value <= (_LARGEST_UNSIGNED if old_values else _LARGEST_INT):
            raise TypeError(f"An int in a message must fit into 64 bits, signed, but {where} is {value!r}.")
    elif not isinstance(value, (str, bytes, float)) and not (old_values and _is_old_bytes(value)):
        raise TypeError(
            "A message may hold bytes, str, int, float, list, dict, bool and None, "
            f"but {where} is {value!r} ({type(value).__name__})."
        )


def _is_old_key(key: Any) -> bool:
    return isinstance(key, int) and not isinstance(key, bool) and _SMALLEST_INT <= key <= _LARGEST_UNSIGNED


def _is_old_bytes(value: Any) -> bool:
    return isinstance(value, bytearray) or (isinstance(value, memoryview) and value.c_contiguous)


def pack(message: dict[str, Any]) -> bytes:
    """Pack a message that ``check_message`` accepts.

    Raises:
        MessageTooLarge: the message takes more than 1 MiB as JSON.
    """
    # To make a packer takes longer than to pack most messages. Only one thread at a time can use one.
    try:
        packer = _packers.pop()
    except IndexError:
        packer = msgpack.Packer(unicode_errors="surrogatepass")
    packed: bytes = packer.pack(message)
    if len(packed) <= _PACKER_BYTES:  # it keeps the memory that its largest message took
        _packers.append(packer)
    if len(packed) > _SURELY_SMALL and (size := json_size(message)) > MAX_JSON_SIZE:
        raise MessageTooLarge(
            f"A message may take {MAX_JSON_SIZE} bytes as JSON, this one takes {size}: "
            "send it in several messages, or keep the data elsewhere and send where it is."
        )
    return packed


def unpack(packed: bytes) -> dict[str, Any]:
    """The message in the bytes that ``pack`` made.

    Raises:
        ValueError: the bytes are not a packed message.
    """
    try:
        message = msgpack.unpackb(packed, unicode_errors="surrogatepass", strict_map_key=not old_values)
    except Exception as error:
        raise ValueError(f"These bytes are not a packed message: {packed[:40]!r} ({error})") from error
    if not isinstance(message, dict):
        raise ValueError(f"These bytes are packed, but are not a message: {packed[:40]!r}")
    return message


def json_size(message: dict[str, Any]) -> int:
    """The length of ``message`` as JSON in UTF-8, in bytes. A ``bytes`` value counts with its own length."""
    lengths_of_bytes = 0

    def count(value: bytes) -> str:
        nonlocal lengths_of_bytes
        lengths_of_bytes += len(value)
        return ""

    text = json.dumps(message, ensure_ascii=False, separators=(",", ":"), default=count)
    return len(text.encode("utf-8", "surrogatepass")) + lengths_of_bytes
