"""``traffic``: what the layers of this process have counted. ``/metrics`` shows it."""

from __future__ import annotations


class Traffic:
    """Plain numbers: an addition to one takes some 20 ns, and happens once per round trip."""

    def __init__(self) -> None:
        self.round_trips = 0
        """How often a server was asked, whatever came back."""
        self.connections = 0
        """How many connections were made; those after the first few are reconnects."""
        self.failures = 0
        """How many connections could not be made, or broke."""
        self.expired = 0
        """How many messages were taken out of a layer too late, and dropped."""


traffic = Traffic()
"""Of this process."""
