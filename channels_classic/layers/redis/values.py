"""Values over Redis: the extension "values" of ``RedisChannelLayer``. Each is a string with its own expiry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from channels_classic.layers.exceptions import Lapsed
from channels_classic.layers.redis.connections.steps import Command, Steps, Trips
from channels_classic.layers.redis.encryption import Cipher, seal, unseal
from channels_classic.layers.redis.keys import ServerKeys
from channels_classic.layers.redis.placement import Placement
from channels_classic.layers.redis.registry import Registry
from channels_classic.log import logger


class Values:
    """Keeps values, each on the server of its name.

    Arguments:
        keys: the keys of the layer, for each server.
        placement: knows the servers of the values.
        registry: knows whether the process that changes a value was declared dead.
        cipher: encrypts the values; ``None`` for no encryption.
    """

    def __init__(self, keys: ServerKeys, placement: Placement, registry: Registry, cipher: Cipher | None) -> None:
        self._keys = keys
        self._placement = placement
        self._registry = registry
        self._cipher = cipher

    def get(self, name: str) -> Steps[tuple[bytes, float] | None]:
        """A value and the seconds until it ends."""
        key = self._key(name)
        value, milliseconds = yield from self._ask(name, ("GET", key), ("PTTL", key))
        if value is None:
            return None
        try:
            return unseal(self._cipher, _place(name), value), milliseconds / 1000
        except ValueError as error:
            logger.error("The value %r was ignored: %s.", name, error)
            return None

    def set(self, name: str, value: bytes, seconds: float, replace: bool) -> Steps[bool]:
        """Store a value: in place of an existing one, or only if there is none. Returns whether it was stored."""
        body = seal(self._cipher, _place(name), value)
        condition = "XX" if replace else "NX"
        return (yield from self._change(name, "SET", body, "PX", int(seconds * 1000), condition)) is not None

    def keep(self, name: str, seconds: float) -> Steps[None]:
        """Let a value end in this many seconds."""
        yield from self._change(name, "PEXPIRE", int(seconds * 1000))

    def delete(self, name: str) -> Steps[None]:
        """Delete a value."""
        yield from self._change(name, "UNLINK")

    def _key(self, name: str) -> str:
        return self._keys[self._placement.of(name)].value(name)

    def _change(self, name: str, command: str, *arguments: Any) -> Steps[Any]:
        """Carry out a command that changes a value. Returns its answer.

        Raises:
            Lapsed: the process that this code acts for was declared dead.
        """
        server = self._placement.of(name)
        process, _ = self._registry.fence(server)
        if not process:
            (answer,) = yield from self._ask(name, (command, self._key(name), *arguments))
            return answer
        fenced = self._registry.fenced(server, process, self._key(name), command, *arguments)
        ((lapsed, *rest),) = yield from self._ask(name, fenced)
        if lapsed:
            raise Lapsed(process)
        return rest[0]

    def _ask(self, name: str, *commands: Command) -> Steps[Sequence[Any]]:
        server = self._placement.of(name)
        trips = Trips()
        trips.add(server, *commands)
        return (yield trips)[server]


def _place(name: str) -> str:
    return f"value:{name}"
