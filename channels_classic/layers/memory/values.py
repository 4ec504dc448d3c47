"""Values in memory: named data that are not messages, such as sessions."""

from __future__ import annotations

import time


class Values:
    """The values by name, each with the time at which it ends. It is used under the layer's lock."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[bytes, float]] = {}

    def get(self, name: str) -> tuple[bytes, float] | None:
        """A value and the seconds until it ends."""
        value, ends = self._values.get(name, (b"", 0.0))
        left = ends - time.monotonic()
        return (value, left) if left > 0 else None

    def set(self, name: str, value: bytes, seconds: float, replace: bool) -> bool:
        """Store a value to replace one, or where there is none. Returns whether it was stored."""
        if (self.get(name) is not None) is not replace:
            return False
        self._values[name] = (value, time.monotonic() + seconds)
        return True

    def keep(self, name: str, seconds: float) -> None:
        """Make a value end in ``seconds``."""
        if (found := self.get(name)) is not None:
            self._values[name] = (found[0], time.monotonic() + seconds)

    def delete(self, name: str) -> None:
        """Drop a value."""
        self._values.pop(name, None)

    def forget(self) -> None:
        """Drop the values that have ended."""
        for name in [name for name in self._values if self.get(name) is None]:
            del self._values[name]

    def clear(self) -> None:
        """Drop all."""
        self._values.clear()
