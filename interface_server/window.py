"""``Window``: how many messages a channel is offered at once, judged by its answers."""

from __future__ import annotations

from channels_classic.backoff import Backoff

WIDEST = 1000
"""How many messages are offered to an unknown channel, and at most to any channel."""

NARROWEST = 4
"""How many messages are offered to a channel that has just refused all, to find out whether there is room
again."""

RETRY_PAUSE = (0.01, 0.05)
"""The shortest and the longest pause, in seconds, before a full channel is tried again."""


class Window:
    """The estimated room of one channel.

    Messages that a full channel refuses have travelled in vain. So it is offered about as many as it took the last
    time, and twice as many after it has taken all.
    """

    def __init__(self) -> None:
        self.size = WIDEST
        """The number of messages to offer."""
        self.opens_at = 0.0
        """The time at which to offer them, by the clock of the caller."""
        self._backoff = Backoff(*RETRY_PAUSE)

    @property
    def is_full(self) -> bool:
        """Whether the channel was full at the last attempt."""
        return self.opens_at > 0

    def learn(self, offered: int, taken: int, now: float) -> None:
        """Note that the channel has taken ``taken`` of the ``offered`` messages."""
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
