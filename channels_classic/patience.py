"""Patience: calls that a consumer makes wait for a channel layer that does not answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from channels_classic import pending
from channels_classic.backoff import Backoff
from channels_classic.layers import BaseChannelLayer, Lapsed, LayerUnavailable

Result = TypeVar("Result")


def through_outages(
    step: Callable[[], Result], layer: BaseChannelLayer, stopping: type[Exception] | None = None
) -> Result:
    """Call ``step``, which can be repeated. In a worker, try again for as long as a message lives in a queue.

    Arguments:
        stopping: the exception to raise when the worker stops, and so cannot wait. The default is the layer's
            error.

    Raises:
        LayerUnavailable: the layer does not answer, and this is not in a worker, or it has waited too long.
    """
    backoff = Backoff()
    deadline: float | None = None
    while True:
        try:
            return step()
        except Lapsed:
            raise
        except LayerUnavailable as error:
            if deadline is None:  # usually a broken connection, so try again at once with a new one
                deadline = time.monotonic() + layer.expiry
            elif time.monotonic() > deadline:
                raise
            elif not pending.wait_out(error, backoff):
                if stopping is None:
                    raise
                raise stopping from error
