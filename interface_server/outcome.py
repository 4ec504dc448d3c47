"""``Outcome``: what became of a message that was to go to the layer."""

from __future__ import annotations

import enum


class Outcome(enum.Enum):
    """The outcome of sending a message."""

    TAKEN = enum.auto()
    """The layer has it."""

    REFUSED = enum.auto()
    """The layer surely does not have it: it may be sent again."""

    UNKNOWN = enum.auto()
    """The layer went away before it answered: sent again it could arrive twice, left out it could be missing."""
