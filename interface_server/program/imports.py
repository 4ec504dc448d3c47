"""Finding the channel layer that a project made."""

from __future__ import annotations

import importlib
import os
import re
import sys
from typing import Any

from channels_classic.layers import BaseChannelLayer

LOGIN = re.compile(r"://[^\s'\"]*@")
"""The name and the password in a URL."""


class BadLayer(Exception):
    """There is no layer that an interface server could use; the text says why."""


def import_layer(path: str) -> BaseChannelLayer:
    """The channel layer at ``MODULE:LAYER``; the current folder is looked in as well.

    Raises:
        BadLayer: there is none, or one that no worker could share.
    """
    layer = _import(path)
    layer = getattr(layer, "channel_layer", layer)
    if not isinstance(layer, BaseChannelLayer):
        raise BadLayer(f"{path} should be a channel layer, but is of type {type(layer).__name__}.")
    if layer.local_only:
        raise BadLayer(
            f"{path} is {type(layer).__name__}, which works inside one process only: no worker would see a "
            "message. Use RedisChannelLayer, or runserver, which has workers of its own."
        )
    return layer


def _import(path: str) -> Any:
    module_name, colon, name = path.partition(":")
    if not colon or not name:
        raise BadLayer(f"The channel layer must be given as MODULE:LAYER, not {path!r}.")
    sys.path.insert(0, os.getcwd())
    try:
        found = importlib.import_module(module_name)
        for part in name.split("."):
            found = getattr(found, part)
        return found
    except Exception as error:
        # Whatever the project does when it is imported.
        text = LOGIN.sub("://***@", f"{type(error).__name__}: {error}")
        raise BadLayer(f"Cannot import the channel layer {path!r}: {text}") from error
