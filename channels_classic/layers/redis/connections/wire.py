"""Commands as the protocol of Redis has them."""

from __future__ import annotations

from collections.abc import Sequence

import hiredis

from channels_classic.layers.redis.connections.steps import Command


def pack(commands: Sequence[Command]) -> list[bytes]:
    """What to send for commands: made in C, where redis-py would do a part of it in Python."""
    return [b"".join([hiredis.pack_command(command) for command in commands])]
