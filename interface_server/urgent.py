"""``UrgentQueue``: messages that cannot wait for room: they go with the next batch, or are refused at once."""

from __future__ import annotations

from collections.abc import Callable

from channels_classic.layers import Delivery
from channels_classic.log import logger
from interface_server.outcome import Outcome

MOST_MESSAGES, MOST_BYTES = 5000, 32 * 2**20
"""The bounds of the queue. Beyond them the layer is too slow, and more messages are refused."""

Done = Callable[[Outcome], None]


class Urgent:
    """A message that cannot wait for room.

    Arguments:
        done: called with the outcome; ``None`` if nobody needs it.
    """

    __slots__ = ("_done", "delivery")

    def __init__(self, delivery: Delivery, done: Done | None) -> None:
        self.delivery = delivery
        self._done = done

    def settle(self, outcome: Outcome) -> None:
        """Report the outcome. Only the first call counts."""
        done, self._done = self._done, None
        if done is not None:
            try:
                done(outcome)
            except Exception:
                # An error of one client must not stop the others.
                logger.exception("A client failed to handle the outcome of its message:")


class UrgentQueue:
    """The messages for the next batches, in order."""

    def __init__(self) -> None:
        self._messages: dict[object, Urgent] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message: Urgent, key: str | None) -> bool:
        """Add a message. Returns ``False`` if there are too many.

        Arguments:
            key: for ``withdraw``. No other message here may have it.
        """
        size = len(message.delivery.payload)
        if len(self._messages) >= MOST_MESSAGES or self._bytes + size > MOST_BYTES:
            return False
        self._messages[key or message] = message
        self._bytes += size
        return True

    def withdraw(self, key: str) -> bool:
        """Remove a message that nobody needs any more. Returns whether it was here."""
        message = self._messages.pop(key, None)
        if message is None:
            return False
        self._bytes -= len(message.delivery.payload)
        return True

    def take(self, messages: int, size: int) -> list[Urgent]:
        """Take the first messages, within the bounds, but at least one.

        Arguments:
            messages: the most messages.
            size: the most bytes.
        """
        taken: list[Urgent] = []
        while self._messages and len(taken) < messages and size > 0:
            message = self._messages.pop(next(iter(self._messages)))
            taken.append(message)
            length = len(message.delivery.payload)
            self._bytes -= length
            size -= length
        return taken

    def refuse_all(self) -> None:
        """Refuse all messages."""
        messages, self._messages = self._messages, {}
        self._bytes = 0
        for message in messages.values():
            message.settle(Outcome.REFUSED)
