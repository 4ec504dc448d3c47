"""``Outcome``: the outcome of sending a message."""

from __future__ import annotations

import enum


class Outcome(enum.Enum):
    """The outcome of sending a message."""

    TAKEN = enum.auto()
    """The layer has the message."""

    REFUSED = enum.auto()
    """The layer certainly does not have the message, so it can be sent again."""

    UNKNOWN = enum.auto()
    """The layer went away before it answered. The message could be missing, but if it were sent again, it could
    arrive twice."""
