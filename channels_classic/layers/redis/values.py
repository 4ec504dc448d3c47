"""Values over Redis: the extension "values" of ``RedisChannelLayer``. Each is a string with its own expiry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from channels_classic.layers.redis.core import RedisCore, Steps
from channels_classic.layers.redis.servers import Command
from channels_classic.log import logger


class Values(RedisCore):
    """The part of ``RedisChannelLayer`` that keeps values, each on the server that its name belongs to."""

    def get_value(self, name: str) -> tuple[bytes, float] | None:
        """As the contract has it."""
        key = self._value_key(name)
        value, milliseconds = self._ask(name, ("GET", key), ("PTTL", key))
        if value is None:
            return None
        try:
            return (value if self._cipher is None else self._cipher.decrypt(value)), milliseconds / 1000
        except ValueError as error:
            logger.error("The value %r was passed over: %s.", name, error)
            return None

    def set_value(self, name: str, value: bytes, seconds: float, replace: bool) -> bool:
        """As the contract has it."""
        body = value if self._cipher is None else self._cipher.encrypt(value)
        condition = "XX" if replace else "NX"
        (answer,) = self._ask(name, ("SET", self._value_key(name), body, "PX", int(seconds * 1000), condition))
        return answer is not None

    def keep_value(self, name: str, seconds: float) -> None:
        """As the contract has it."""
        self._ask(name, ("PEXPIRE", self._value_key(name), int(seconds * 1000)))

    def delete_value(self, name: str) -> None:
        """As the contract has it."""
        self._ask(name, ("UNLINK", self._value_key(name)))

    def _ask(self, name: str, *commands: Command) -> Sequence[Any]:
        def steps() -> Steps[Sequence[Any]]:
            server = self._ring.server_for(name)
            answers = yield {server: list(commands)}
            return answers[server]

        answers: Sequence[Any] = self._carry_out(steps())
        return answers

    def _value_key(self, name: str) -> str:
        return f"{self.prefix}value:{name}"
