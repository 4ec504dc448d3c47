"""The messages that a worker has taken from its channel layer."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from channels_classic.layers import BaseChannelLayer, Lapsed, LayerUnavailable, Received
from channels_classic.log import logger
from worker.presence import Hand


class Running(NamedTuple):
    """A message whose consumer runs."""

    received: Received
    since: float
    """The time at which it was started, by ``time.monotonic``."""


class InHand:
    """The message that runs, and the messages that wait behind it.

    The thread of the worker takes messages and starts them. The thread of the watchdog gives back those that wait
    behind a slow one.

    Arguments:
        layer: the layer that the messages come from, and go back to.
        hand: takes them. It is replaced after the process has lapsed.
    """

    def __init__(self, layer: BaseChannelLayer, hand: Hand) -> None:
        self.hand = hand
        self._layer = layer
        self._received: Received | None = None
        self.since = 0.0
        """The time at which the last message was started, by ``time.monotonic``."""
        self._lock = threading.Lock()
        self._waiting: deque[Received] = deque()
        self._needs_care = False
        """Whether several messages came together, so that some may wait behind a slow one."""
        self._may_be_back = False
        """Whether the waiting messages may already be back in the layer, because the answer was lost."""
        self._relief_failed = False

    @property
    def running(self) -> Running | None:
        """The message that runs now, if there is one."""
        received = self._received
        return None if received is None else Running(received, self.since)

    @property
    def waiting(self) -> int:
        """The number of messages that were not started."""
        return len(self._waiting)

    def take(self, batch: Sequence[Received]) -> bool:
        """Take over a batch of messages.

        Returns:
            Whether some of them have to wait behind another one.
        """
        if batch:
            self.hand.begin()
            self._waiting.extend(batch)
        self._relief_failed = False
        self._needs_care = len(self._waiting) > 1
        return self._needs_care

    def start_next(self) -> Received | None:
        """Start the next message. The one before it is done.

        Returns:
            The message; ``None`` if there is none, or if it must not be started now (see ``Hand.start``).
        """
        with self._lock:
            if not self._waiting or self._may_be_back or (now := self.hand.start()) is None:
                self._rest()
                return None
            self._received = self._waiting.popleft()
            self.since = now
            return self._received

    def drop(self) -> int:
        """Drop the messages that were not started, because the process has lapsed and others have them.

        Returns:
            The number of messages.
        """
        with self._lock:
            waiting = len(self._waiting)
            self._forget_waiting()
            self._rest()
            return waiting

    def rest(self) -> None:
        """Note that nothing runs any more. Messages that wait still have to be given back."""
        with self._lock:
            self._rest()

    def _rest(self) -> None:
        self._received = None
        self._needs_care = False

    def relieve(self, patience: float, flush: Callable[[], None]) -> bool:
        """If a message has been running for more than ``patience`` seconds, give back the messages behind it.

        Arguments:
            flush: called first; sends what earlier consumers have sent.

        Returns:
            Whether this has to be called again after a while.
        """
        # This holds the lock to the end, so that the worker neither takes newer messages nor ends before these are
        # back.
        with self._lock:
            if self._received is None or time.monotonic() - self.since < patience:
                return self._needs_care
            try:
                flush()
                self.give_back()
            except Lapsed:
                self._needs_care = False
                return False
            except LayerUnavailable as error:
                if not self._relief_failed:
                    logger.error(
                        "Messages behind a consumer that takes long cannot be given back; trying again. %s", error
                    )
                self._relief_failed = self._needs_care = True
                return True
            self._needs_care = False
            return False

    @property
    def next_channel(self) -> str | None:
        """The channel of the next message, if one waits."""
        with self._lock:
            return self._waiting[0].channel if self._waiting else None

    def put_back(self) -> None:
        """Give back the messages that were not started, while the worker goes on.

        Raises:
            LayerUnavailable: as ``give_back``.
        """
        with self._lock:
            self.give_back()

    def settle(self) -> None:
        """Give messages back again if it is unknown whether they are back. Before that they cannot start.

        Raises:
            LayerUnavailable: the layer does not answer.
        """
        with self._lock:
            if self._may_be_back:
                self.give_back()

    def give_back(self) -> None:
        """Give back the messages that were not started.

        Raises:
            LayerUnavailable: the layer has not taken them, or that is unknown. They are still here.
        """
        if not self._waiting:
            return
        try:
            if self.hand.taker is None:
                self._layer.give_back(list(self._waiting))
            else:
                self._layer.give_back(list(self._waiting), self.hand.taker)
        except Lapsed:
            pass  # other processes have them
        except LayerUnavailable as error:
            if error.nothing_done:
                raise
            if self.hand.taker is not None:
                # A message that is back is no longer in-flight, so to give it back again does nothing.
                self._may_be_back = True
                raise
            # They may be back. If they were given back once more, they could run twice.
            logger.error("%d messages were lost with the channel layer. %s", len(self._waiting), error)
        self._forget_waiting()

    def _forget_waiting(self) -> None:
        self._waiting.clear()
        self._may_be_back = False
