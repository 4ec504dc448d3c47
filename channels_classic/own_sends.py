"""Layers that override ``send`` or ``send_group``, whose methods have to be called.

Our layers send packed messages in batches, so ``send`` is not called. But a project may have a layer class that
overrides it to count or copy messages, and tests replace it, or the whole layer, by mocks.
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
"""Seconds for which a full channel is tried again after the consumer, as for any other layer."""


Send = Callable[[str, dict[str, Any]], Any]


class Call(NamedTuple):
    """A call of a layer's own ``send`` or ``send_group``, to be made after the consumer has ended."""

    send: Send
    name: str
    content: dict[str, Any]

    def make(self) -> None:
        """Make the call. An error is logged, and other sends go on."""
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


def bare_layer(layer: Any, method: str) -> BaseChannelLayer | None:
    """The bare layer, whose messages are packed and sent in batches.

    Arguments:
        layer: a layer, bare or with its routing.
        method: ``send`` or ``send_group``.

    Returns:
        ``None`` if the layer overrides the method, which has to be called then.
    """
    attributes = layer.__dict__
    if "channel_layer" in attributes:
        layer = attributes["channel_layer"]
        attributes = layer.__dict__
    if method in attributes or _class_has_own(type(layer), method):  # type: ignore[arg-type]
        return None
    bare: BaseChannelLayer = layer
    return bare


@functools.lru_cache
def _class_has_own(layer_class: type, method: str) -> bool:
    return getattr(layer_class, method, None) is not getattr(BaseChannelLayer, method)
