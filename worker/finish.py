"""The end of a worker: gives back and sends what it still has, if there is time."""

from __future__ import annotations

import time
from collections.abc import Callable

from channels_classic.backoff import Backoff
from channels_classic.layers import Lapsed, LayerUnavailable
from channels_classic.log import logger
from worker.in_hand import InHand
from worker.sender import OUTAGE_SECONDS, RETRY_PAUSE
from worker.senders import Senders


def finish(in_hand: InHand, senders: Senders, is_hurried: Callable[[], bool], acknowledge: bool = True) -> None:
    """Give back what was not started, and send what consumers have sent. Waits a while for an unreachable layer.

    Arguments:
        is_hurried: tells whether there is no time to wait any longer.
        acknowledge: whether to tell the layer that the last batch is done.
    """
    give_up_at = time.monotonic() + OUTAGE_SECONDS
    backoff = Backoff()
    trouble: LayerUnavailable | None = None
    try:
        while True:
            try:
                senders.flush_others(at_once=True)
                in_hand.give_back()
                senders.own.flush()
                trouble = None
            except Lapsed:
                in_hand.drop()
            except LayerUnavailable as error:
                trouble = error
            if not in_hand.waiting and not senders.retrying:
                if acknowledge:
                    _acknowledge(in_hand, senders)
                return
            if trouble is not None and not backoff.failures:
                logger.error("The worker has to wait for the channel layer before it can end. %s", trouble)
            away = trouble is not None or senders.others_unreachable
            pause = backoff.fail() if away else RETRY_PAUSE
            if is_hurried() or time.monotonic() + pause > give_up_at:
                return
            time.sleep(pause)
    finally:
        _tell_what_is_lost(in_hand, senders, trouble)


def _acknowledge(in_hand: InHand, senders: Senders) -> None:
    """Tell the layer that the last batch is done: the process may live for long, and could still be killed."""
    if in_hand.hand.taker is not None and in_hand.hand.taker.batch:
        try:
            senders.own.flush_and_receive([in_hand.hand.hold.nowhere], 1, 0)
        except LayerUnavailable:
            pass  # the end of the process tells the same


def _tell_what_is_lost(in_hand: InHand, senders: Senders, trouble: LayerUnavailable | None) -> None:
    unsent = sum(sender.unsent for sender in senders)
    open_turns = sum(sender.open_turns for sender in senders)
    # What a taker has is safe in the layer. A sweep gives it to others.
    waiting = in_hand.waiting if in_hand.hand.taker is None else 0
    if waiting or unsent or open_turns:
        logger.error(
            "Lost at the end of a worker: %d messages that it had not started, %d that consumers had sent, "
            "the ends of %d turns. %s",
            waiting,
            unsent,
            open_turns,
            trouble or "A channel stayed full, or another layer away.",
        )
