"""``Repeated``: warnings that may come by the thousand, such as one for each client while no worker runs."""

from __future__ import annotations

import asyncio

from channels_classic.log import logger

COUNT_SECONDS = 10.0
"""For how long warnings of one kind are counted behind the first one, before the log says how many there were."""


class Repeated:
    """Logs the first warning of a kind at once, and counts those that follow it soon."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._counts: dict[str, int] = {}

    def warn(self, kind: str, text: str, *args: object) -> None:
        """Log a warning, or count it.

        Arguments:
            kind: what it is about, in the plural; there are few of them.
            text, args: of the log.
        """
        if kind in self._counts:
            self._counts[kind] += 1
            return
        logger.warning(text, *args)
        self._counts[kind] = 0
        self._loop.call_later(COUNT_SECONDS, self._report, kind)

    def _report(self, kind: str) -> None:
        if count := self._counts.pop(kind):
            logger.warning("%d more %s in %g s.", count, kind, COUNT_SECONDS)
