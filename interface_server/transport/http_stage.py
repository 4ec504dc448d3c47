"""The stages of an HTTP connection."""

from __future__ import annotations

import enum


class Stage(enum.Enum):
    """The stages of a connection."""

    OPEN = enum.auto()

    LAST = enum.auto()
    """No more requests are read after the one that is being answered."""

    LINGERING = enum.auto()
    """Everything is sent, and what still comes is dropped."""

    CLOSED = enum.auto()


READING = (Stage.OPEN, Stage.LAST)
"""The stages in which the client's bytes are read."""
