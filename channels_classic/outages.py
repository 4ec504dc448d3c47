"""Outages of a channel layer in the log: one line, however many parts of a process notice."""

from __future__ import annotations

import threading
import time
import weakref

from channels_classic.layers import BaseChannelLayer, LayerUnavailable
from channels_classic.log import logger

QUIET_SECONDS = 20.0
"""For so long after a line about a layer there is no other one about it. A part that waits for the layer says so
about every 30 seconds."""

_lock = threading.Lock()
_logged: weakref.WeakKeyDictionary[BaseChannelLayer, float] = weakref.WeakKeyDictionary()


def note_outage(layer: BaseChannelLayer) -> bool:
    """Remember that the log has the outage of a layer.

    Returns:
        Whether that is news: no other part of this process has just said it.
    """
    now = time.monotonic()
    with _lock:
        last = _logged.get(layer)
        if last is not None and now - last < QUIET_SECONDS:
            return False
        _logged[layer] = now
        return True


def log_outage(layer: BaseChannelLayer, error: LayerUnavailable) -> None:
    """Say that a layer cannot be reached, unless another part of this process has just said it."""
    if note_outage(layer):
        logger.error("The channel layer cannot be reached; trying again. Is its server running? %s", error)


def log_return(layer: BaseChannelLayer) -> None:
    """Say that a layer answers again, if its outage was in the log."""
    with _lock:
        if _logged.pop(layer, None) is None:
            return
    logger.warning("The channel layer is back.")
