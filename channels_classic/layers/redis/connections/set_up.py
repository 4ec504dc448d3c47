"""What is asked of a server, and told to it, before it is used: its version, and the Lua scripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.exceptions import NoScriptError

from channels_classic.layers.exceptions import LayerUnavailable
from channels_classic.layers.redis.connections.steps import Command, checked
from channels_classic.layers.redis.scripts import NAMES, SCRIPTS

OLDEST_REDIS = (6, 2)


class SetUp:
    """The set-up of one server.

    Arguments:
        server: its name, for people.
    """

    commands: tuple[Command, ...] = (
        ("INFO", "server"),
        *(("SCRIPT", "LOAD", source) for source in SCRIPTS.values()),
    )

    def __init__(self, server: str) -> None:
        self._server = server
        self._digests: dict[str, bytes] = {}

    @property
    def done(self) -> bool:
        """Whether it has taken place."""
        return bool(self._digests)

    def learn(self, answers: Sequence[Any]) -> None:
        """Keep the answers to ``commands``.

        Raises:
            LayerUnavailable: the server cannot be used.
        """
        information, *digests = answers
        checked(digests)
        self._check_version(information)
        self._digests = dict(zip(NAMES, digests, strict=True))

    def with_digests(self, commands: Sequence[Command]) -> list[Command]:
        """The commands, with a script's name in the first place turned into a call of the script."""
        digests = self._digests
        return [
            ("EVALSHA", digests[command[0]], *command[1:]) if command[0] in digests else command
            for command in commands
        ]

    def _check_version(self, information: Any) -> None:
        # A user of the server may be kept from INFO, like from all that its ACL calls dangerous.
        known = b"" if isinstance(information, LayerUnavailable) else bytes(information)
        for line in known.decode("utf-8", "replace").splitlines():
            name, _, version = line.partition(":")
            if name == "redis_version" and tuple(map(int, version.split(".")[:2])) < OLDEST_REDIS:
                raise LayerUnavailable(
                    f"Redis at {self._server} is version {version}; the channel layer needs 6.2 or newer.", True
                )


def unknown_scripts(answers: Sequence[Any]) -> list[int]:
    """The positions of the scripts that did not run, because the server was restarted or its scripts were flushed.

    The rest of the round trip was carried out: a message that a ``BLPOP`` took must not be asked for again.
    """
    return [number for number, answer in enumerate(answers) if isinstance(answer, NoScriptError)]


def completed(answers: Sequence[Any], positions: Sequence[int], again: Sequence[Any]) -> list[Any]:
    """The answers, with those that came at the second attempt in their positions."""
    complete = list(answers)
    for position, answer in zip(positions, again, strict=True):
        complete[position] = answer
    return complete
