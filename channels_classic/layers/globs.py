"""Globs that channels are matched against."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable

MOST_REMEMBERED = 1000


class Globs:
    """A set of globs that channels are matched against.

    Arguments:
        globs: such as ``"mail.*"``.
    """

    def __init__(self, globs: Iterable[str]) -> None:
        self._globs = list(globs)
        self._known: dict[str, bool] = {}

    def match(self, channel: str) -> bool:
        """Whether ``channel`` matches at least one of the globs."""
        known = self._known.get(channel)
        if known is None:
            known = any(fnmatch.fnmatchcase(channel, glob) for glob in self._globs)
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            self._known[channel] = known
        return known
