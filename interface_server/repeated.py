"""``Repeated``: warnings that may come by the thousand, such as one per client while no worker runs."""

from __future__ import annotations

import asyncio

from channels_classic.log import logger

COUNT_SECONDS = 10.0
"""Seconds for which warnings of one kind are counted after the first one, before the log gives their number."""


class Repeated:
    """Logs the first warning of a kind at once, and counts those that follow soon."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._counts: dict[str, int] = {}

    def warn(self, kind: str, text: str, *args: object) -> None:
        """Log a warning, or count it.

        Arguments:
            kind: what it is about, in the plural. There are only a few kinds.
            text, args: as for a logger.
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
