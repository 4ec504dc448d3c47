"""The protocol of Redis: packs commands, and parses answers, in C."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import hiredis

from channels_classic.layers.redis.connections.replies import error_of
from channels_classic.layers.redis.connections.steps import Command

Meaning = Callable[[Exception], Any]
"""Translates the error that a server has answered."""

NOTHING = object()
"""What a parser gives while the next answer has not arrived completely."""

PUSH: type = getattr(hiredis, "PushNotification", type(None))  # hiredis before 3.1 has none
"""The type of what a server sends without being asked."""


def pack(commands: Sequence[Command]) -> list[bytes]:
    """The bytes of commands. This is done in C, where redis-py would do a part of it in Python."""
    return [b"".join([hiredis.pack_command(command) for command in commands])]


def parser(meaning: Meaning) -> hiredis.Reader:
    """Make a parser of the answers of one connection."""
    return hiredis.Reader(replyError=lambda text: meaning(error_of(text)), notEnoughData=NOTHING)
