"""``UnknownKeys``: a message from a consumer that says nothing its client can be told."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any


class UnknownKeys(Exception):
    """None of the keys of a message is known; the text says which keys are, and which came.

    Arguments:
        keys: of the message.
        known: what it should have some of.
    """

    def __init__(self, keys: Collection[object], known: Collection[str]) -> None:
        self.keys = tuple(sorted(map(str, keys)))
        super().__init__(f"it should have one of {', '.join(sorted(known))}, but has {', '.join(self.keys)}")


def check_keys(content: Mapping[str, Any], known: frozenset[str]) -> None:
    """Make sure that a message says something, or is empty.

    Raises:
        UnknownKeys: it has keys, but none that is known.
    """
    if content and known.isdisjoint(content):
        raise UnknownKeys(content, known)
