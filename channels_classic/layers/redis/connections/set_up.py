"""The set-up of a server before its first use: reads its version and its identity, and loads the scripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.exceptions import NoScriptError, ResponseError

from channels_classic.layers.exceptions import LayerUnavailable
from channels_classic.layers.redis.connections.steps import Command, checked
from channels_classic.layers.redis.scripts import NAMES, SCRIPTS

OLDEST_REDIS = (6, 2)


class SetUp:
    """The set-up of all connections of this process to one server.

    Arguments:
        server: its name, for people.
    """

    everything: tuple[Command, ...] = (
        ("INFO", "server"),
        *(("SCRIPT", "LOAD", source) for source in SCRIPTS.values()),
    )

    def __init__(self, server: str) -> None:
        self.is_new = False
        """Whether the last new connection led to another server than the one before, so that the scripts are
        missing."""
        self.run_id = b""
        """The server that the last new connection led to; empty if the user of the layer may not ask for it.

        It is another one after a failover. After a restart it counts as another one, too, because its data may be
        gone, or be older.
        """
        self._server = server
        self._digests: dict[str, bytes] = {}

    @property
    def commands(self) -> tuple[Command, ...]:
        """The commands that prepare a new connection. The first one also loads the scripts."""
        return self.everything[:1] if self._digests else self.everything

    def learn(self, answers: Sequence[Any]) -> None:
        """Keep the answers to ``commands`` or to ``everything``.

        Raises:
            LayerUnavailable: the server cannot be used. Nothing was done.
        """
        information, *digests = answers
        try:
            checked(digests)
            known = _read(information)
        except LayerUnavailable as error:
            error.nothing_done = True
            raise
        self._check_version(known.get("redis_version", ""))
        run_id = known.get("run_id", "").encode()
        self.is_new = not digests and run_id != self.run_id
        self.run_id = run_id
        if digests:
            self._digests = dict(zip(NAMES, digests, strict=True))

    def with_digests(self, commands: Sequence[Command]) -> list[Command]:
        """Replace the name of a script at the start of a command by a call of that script."""
        digests = self._digests
        return [
            ("EVALSHA", digests[command[0]], *command[1:]) if command[0] in digests else command
            for command in commands
        ]

    def _check_version(self, version: str) -> None:
        if version and tuple(map(int, version.split(".")[:2])) < OLDEST_REDIS:
            raise LayerUnavailable(
                f"Redis at {self._server} is version {version}; the channel layer needs 6.2 or newer.", True
            )


def _read(information: Any) -> dict[str, str]:
    """Read the answer to ``INFO``."""
    if isinstance(information, LayerUnavailable):
        if not isinstance(information.__cause__, ResponseError):
            raise information
        # The ACL of the server may deny its user INFO, like all commands of the category "dangerous".
        return {}
    lines = bytes(information).decode("utf-8", "replace").splitlines()
    return {name: value for name, colon, value in (line.partition(":") for line in lines) if colon}


def unknown_scripts(answers: Sequence[Any]) -> list[int]:
    """The positions of scripts that did not run, because the server was restarted or its scripts were flushed.

    The rest of the round trip was carried out. So a ``BLPOP`` that took a message must not be repeated.
    """
    return [number for number, answer in enumerate(answers) if isinstance(answer, NoScriptError)]


def completed(answers: Sequence[Any], positions: Sequence[int], again: Sequence[Any]) -> list[Any]:
    """Put the answers of the second attempt into their positions among the others."""
    complete = list(answers)
    for position, answer in zip(positions, again, strict=True):
        complete[position] = answer
    return complete
