"""Dead letters in memory."""

from __future__ import annotations

from channels_classic.layers.tracking import MOST_DEAD_LETTER_BYTES, MOST_DEAD_LETTERS
from channels_classic.layers.types import DeadLetter


class DeadLetters:
    """The dead letters, the oldest first. It is used under the layer's lock."""

    def __init__(self) -> None:
        self._letters: dict[str, tuple[DeadLetter, int]] = {}

    def add(self, letter: DeadLetter, size: int) -> None:
        """Keep a letter of ``size`` bytes. The oldest letters make room for it."""
        self._letters[letter.identity] = (letter, size)
        while len(self._letters) > MOST_DEAD_LETTERS or self._bytes() > MOST_DEAD_LETTER_BYTES:
            del self._letters[next(iter(self._letters))]

    def all(self) -> list[DeadLetter]:
        """All dead letters."""
        return [letter for letter, _ in self._letters.values()]

    def take(self, identity: str) -> DeadLetter | None:
        """Remove a dead letter, and return it."""
        letter, _ = self._letters.pop(identity, (None, 0))
        return letter

    def clear(self) -> None:
        """Drop all."""
        self._letters.clear()

    def _bytes(self) -> int:
        return sum(size for _, size in self._letters.values())
