"""A warning when a message goes to a layer of one process, and nobody receives in this process.

It happens in ``manage.py shell``, in other commands, and under a WSGI server: each has an in-memory layer of its
own, and nothing else would tell.
"""

from __future__ import annotations

from django.core import mail

from channels_classic.layers import BaseChannelLayer
from channels_classic.log import logger

_warned = False


def warn_if_lonely(layer: BaseChannelLayer) -> None:
    """Say, once in a process, that what was just sent reaches nobody.

    Tests look at what was sent without a worker, so nothing is said there.
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
