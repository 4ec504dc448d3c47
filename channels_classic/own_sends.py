"""Layers with a ``send`` or ``send_group`` of their own, which is called then.

Ours pack messages and send them in batches, so nothing calls ``send``. But a project may have a layer class that
overrides it, to count or to copy messages, and tests put mocks in its place, or in that of the whole layer.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from channels_classic.backoff import Backoff
from channels_classic.layers import BaseChannelLayer, ChannelFull, LayerUnavailable
from channels_classic.log import logger

RETRY_SECONDS = 2.0
"""For how long a full channel is tried again once its consumer is done, as for any other layer."""


Send = Callable[[str, dict[str, Any]], Any]


class Call(NamedTuple):
    """A call of a layer's own ``send`` or ``send_group``, to be made when the consumer is done."""

    send: Send
    name: str
    content: dict[str, Any]

    def make(self) -> None:
        """Make it; if it fails, the log says so, and other sends go on."""
        backoff = Backoff()
        give_up_at = time.monotonic() + RETRY_SECONDS
        while True:
            try:
                self.send(self.name, self.content)
                return
            except ChannelFull as error:
                pause = backoff.fail()
                if time.monotonic() + pause > give_up_at:
                    logger.error("A message to %r was dropped. %s", self.name, error)
                    return
                time.sleep(pause)
            except LayerUnavailable as error:
                logger.error("A message to %r was lost. %s", self.name, error)
                return


def has_own(layer: Any, method: str) -> bool:
    """Whether a layer, bare or with its routing, has a ``send`` or ``send_group`` (``method``) of its own."""
    attributes = vars(layer)
    if "channel_layer" in attributes:
        layer = attributes["channel_layer"]
        attributes = vars(layer)
    return method in attributes or _class_has_own(type(layer), method)  # type: ignore[arg-type]


@functools.lru_cache
def _class_has_own(layer_class: type, method: str) -> bool:
    return getattr(layer_class, method, None) is not getattr(BaseChannelLayer, method)
