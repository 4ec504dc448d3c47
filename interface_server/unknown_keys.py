"""``UnknownKeys``: the error for a message of a consumer without any known key."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from channels_classic.tracing import FIELD


class UnknownKeys(Exception):
    """A message has no known key. The text names the known keys, and those that came.

    Arguments:
        keys: the keys of the message.
        known: the known keys, of which it needs at least one.
    """

    def __init__(self, keys: Collection[object], known: Collection[str]) -> None:
        self.keys = tuple(sorted(map(str, keys)))
        super().__init__(f"it should have one of {', '.join(sorted(known))}, but has {', '.join(self.keys)}")


def check_keys(content: Mapping[str, Any], known: frozenset[str]) -> None:
    """Check that a message has a known key, or is empty.

    Raises:
        UnknownKeys: the message has keys, and none of them is known.
    """
    if content and known.isdisjoint(content) and (unknown := content.keys() - {FIELD}):
        raise UnknownKeys(unknown, known)
