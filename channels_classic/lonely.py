"""Warns when a message goes to a layer of one process, and no worker receives in this process.

This happens in ``manage.py shell``, in other commands, and under a WSGI server: each has its own in-memory layer,
and nothing else would show it.
"""

from __future__ import annotations

from django.core import mail

from channels_classic.layers import BaseChannelLayer
from channels_classic.log import logger

_warned = False


def warn_if_lonely(layer: BaseChannelLayer) -> None:
    """Log, once in a process, that a message reaches nobody.

    Tests look at sent messages without a worker, so they get no warning.
    """
    global _warned
    if _warned or layer.has_receiver or hasattr(mail, "outbox"):
        return
    _warned = True
    logger.warning(
        "This message reaches nobody: %s works inside one process, and no worker has started in this one. To "
        "reach other processes, set the BACKEND of CHANNEL_LAYERS to channels_classic.layers.RedisChannelLayer.",
        type(layer).__name__,
    )
