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
    """The message whose consumer runs."""

    received: Received
    since: float
    """When it was started, by ``time.monotonic``."""


class InHand:
    """The message that runs, and those that wait behind it.

    The worker's own thread takes messages and starts them. The watchdog's thread gives back those that wait behind
    a slow one.

    Arguments:
        layer: where the messages come from, and go back to.
        hand: that takes them; another one after the process has lapsed.
    """

    def __init__(self, layer: BaseChannelLayer, hand: Hand) -> None:
        self.hand = hand
        self._layer = layer
        self._received: Received | None = None
        self.since = 0.0
        """When the last message was started, by ``time.monotonic``."""
        self._lock = threading.Lock()
        self._waiting: deque[Received] = deque()
        self._needs_care = False
        """Whether messages came together, so that some may wait behind a slow one."""
        self._may_be_back = False
        """Whether those that wait may be back in the layer already: the answer was lost."""
        self._relief_failed = False

    @property
    def running(self) -> Running | None:
        """The message that runs now, if one does."""
        received = self._received
        return None if received is None else Running(received, self.since)

    @property
    def waiting(self) -> int:
        """How many messages were not started."""
        return len(self._waiting)

    def take(self, batch: Sequence[Received]) -> bool:
        """Take messages.

        Returns:
            Whether some will have to wait behind another.
        """
        if batch:
            self.hand.begin()
            self._waiting.extend(batch)
        self._relief_failed = False
        self._needs_care = len(self._waiting) > 1
        return self._needs_care

    def start_next(self) -> Received | None:
        """Begin with the next message, and be done with the one before.

        Returns:
            The message; ``None`` if there is none, or if none may be started now: see ``Hand.start``.
        """
        with self._lock:
            if not self._waiting or self._may_be_back or (now := self.hand.start()) is None:
                self._rest()
                return None
            self._received = self._waiting.popleft()
            self.since = now
            return self._received

    def drop(self) -> int:
        """Drop what was not started, because the process has lapsed and others have it.

        Returns:
            How many messages it was.
        """
        with self._lock:
            waiting = len(self._waiting)
            self._forget_waiting()
            self._rest()
            return waiting

    def rest(self) -> None:
        """Nothing runs any more; what waits still has to be given back."""
        with self._lock:
            self._rest()

    def _rest(self) -> None:
        self._received = None
        self._needs_care = False

    def relieve(self, patience: float, flush: Callable[[], None]) -> bool:
        """If a message has been running for more than ``patience`` seconds, give back what waits behind it.

        Arguments:
            flush: sends what earlier consumers sent, first.

        Returns:
            Whether this has to be called again after a while.
        """
        # Held to the end: the worker must not take newer messages, nor come to its end, before these are back.
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
        """Where the next message came from, if one waits."""
        with self._lock:
            return self._waiting[0].channel if self._waiting else None

    def put_back(self) -> None:
        """Give back what was not started, while the worker works.

        Raises:
            LayerUnavailable: as ``give_back``.
        """
        with self._lock:
            self.give_back()

    def settle(self) -> None:
        """Give back for certain what may be back: until then it can neither be started nor be called done.

        Raises:
            LayerUnavailable: the layer does not answer.
        """
        with self._lock:
            if self._may_be_back:
                self.give_back()

    def give_back(self) -> None:
        """Give back what was not started.

        Raises:
            LayerUnavailable: the layer does not take it, or nobody knows whether it has; it is here still.
        """
        if not self._waiting:
            return
        try:
            if self.hand.taker is None:
                self._layer.give_back(list(self._waiting))
            else:
                self._layer.give_back(list(self._waiting), self.hand.taker)
        except Lapsed:
            pass  # others have them
        except LayerUnavailable as error:
            if error.nothing_done:
                raise
            if self.hand.taker is not None:
                # What is back is not in-flight any more, so the layer can be told once more.
                self._may_be_back = True
                raise
            # It may be back. If it were given back once more, others could run it twice.
            logger.error("%d messages were lost with the channel layer. %s", len(self._waiting), error)
        self._forget_waiting()

    def _forget_waiting(self) -> None:
        self._waiting.clear()
        self._may_be_back = False
