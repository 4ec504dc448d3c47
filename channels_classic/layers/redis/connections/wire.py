"""Commands in the protocol of Redis."""

from __future__ import annotations

from collections.abc import Sequence

import hiredis

from channels_classic.layers.redis.connections.steps import Command


def pack(commands: Sequence[Command]) -> list[bytes]:
    """The bytes of commands. This is done in C, where redis-py would do a part of it in Python."""
    return [b"".join([hiredis.pack_command(command) for command in commands])]
