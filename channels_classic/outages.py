"""Logs an outage of a channel layer once, even if many parts of a process notice it."""

from __future__ import annotations

import threading
import time
import weakref

from channels_classic.layers import BaseChannelLayer, LayerUnavailable
from channels_classic.log import logger

QUIET_SECONDS = 20.0
"""Seconds after a line about a layer in which there is no other line about it. A part that waits for the layer
logs this about every 30 seconds."""

_lock = threading.Lock()
_logged: weakref.WeakKeyDictionary[BaseChannelLayer, float] = weakref.WeakKeyDictionary()


def note_outage(layer: BaseChannelLayer) -> bool:
    """Note that the log has the outage of a layer.

    Returns:
        Whether this is news, because no other part of this process has just logged it.
    """
    now = time.monotonic()
    with _lock:
        last = _logged.get(layer)
        if last is not None and now - last < QUIET_SECONDS:
            return False
        _logged[layer] = now
        return True


def log_outage(layer: BaseChannelLayer, error: LayerUnavailable) -> None:
    """Log that a layer is unreachable, unless another part of this process has just logged it."""
    if note_outage(layer):
        logger.error("The channel layer cannot be reached; trying again. %s", error)


def log_return(layer: BaseChannelLayer) -> None:
    """Log that a layer answers again, if its outage was logged."""
    with _lock:
        if _logged.pop(layer, None) is None:
            return
    logger.warning("The channel layer is back.")
