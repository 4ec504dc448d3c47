"""The durations and sizes of the loads in one run of the suite."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """The durations and sizes.

    :param seconds: the measured part of a run.
    :param warm_up: what runs before it, unmeasured, in seconds.
    :param idle_seconds: the measured part of a run with idle sockets; 20 covers a round of keep-alive.
    :param size: the length of a text frame, in bytes.
    """

    seconds: float
    warm_up: float
    idle_seconds: float
    size: int
