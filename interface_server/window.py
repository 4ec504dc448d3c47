"""``Window``: how many messages a channel is offered at once, as far as its answers tell."""

from __future__ import annotations

from channels_classic.backoff import Backoff

WIDEST = 1000
"""Messages for a channel of which nothing is known, or that takes all it is offered."""

NARROWEST = 4
"""Messages for a channel that has just refused all: enough to learn whether there is room again."""

RETRY_PAUSE = (0.01, 0.05)
"""The shortest and the longest pause, in seconds, before a full channel is tried again."""


class Window:
    """How much room one channel is believed to have.

    What a full channel refuses has travelled for nothing. So it is offered about as much as it took the last time,
    and twice as much each time that it takes all.
    """

    def __init__(self) -> None:
        self.size = WIDEST
        """How many messages to offer."""
        self.opens_at = 0.0
        """When to offer them, by the clock of the caller."""
        self._backoff = Backoff(*RETRY_PAUSE)

    @property
    def is_full(self) -> bool:
        """Whether the channel was full the last time."""
        return self.opens_at > 0

    def learn(self, offered: int, taken: int, now: float) -> None:
        """The channel has taken so many of the messages that it was offered."""
        if taken == offered and self.size == WIDEST:
            return
        if taken:
            self._backoff.succeed()
        if taken == offered:
            self.size = min(WIDEST, self.size * 2)
            self.opens_at = 0.0
        else:
            self.size = max(NARROWEST, taken)
            self.opens_at = now + self._backoff.fail()
