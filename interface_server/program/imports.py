"""Imports from a project: its channel layer, and applications to mount."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any, cast

from channels_classic.layers import BaseChannelLayer
from channels_classic.redaction import without_logins
from interface_server.asgi_types import Application

MAKE_A_LAYER = (
    "Write channel_layer = get_channel_layer(), with the function of channels_classic.asgi, into the module, and "
    "name MODULE:channel_layer."
)


class BadImport(Exception):
    """The import gives nothing that an interface server can use. The text says why."""


def import_layer(path: str) -> BaseChannelLayer:
    """Import the channel layer at ``MODULE:LAYER``, also from the current folder.

    Raises:
        BadImport: there is no channel layer, or no worker could share it.
    """
    try:
        layer = _import(path, "channel layer", "MODULE:LAYER")
    except BadImport as error:
        if isinstance(error.__cause__, AttributeError):  # the module is there
            raise BadImport(f"{error}. {MAKE_A_LAYER}") from error.__cause__
        raise
    layer = getattr(layer, "channel_layer", layer)
    if not isinstance(layer, BaseChannelLayer):
        raise BadImport(f"{path} should be a channel layer, but is of type {type(layer).__name__}. {MAKE_A_LAYER}")
    if layer.local_only:
        raise BadImport(
            f"{path} is {type(layer).__name__}, which works inside one process only: no worker would see a "
            "message. Use RedisChannelLayer, or runserver, which has workers of its own."
        )
    return layer


def import_application(path: str) -> Application:
    """Import the ASGI application at ``MODULE:APPLICATION``, also from the current folder.

    Raises:
        BadImport: there is no ASGI application.
    """
    application = _import(path, "application", "MODULE:APPLICATION")
    if not callable(application):
        raise BadImport(f"{path} should be an ASGI application, but is of type {type(application).__name__}.")
    return cast(Application, application)


def _import(path: str, what: str, form: str) -> Any:
    module_name, colon, name = path.partition(":")
    if not colon or not name:
        raise BadImport(f"The {what} must be given as {form}, not {path!r}.")
    sys.path.insert(0, os.getcwd())
    try:
        found = importlib.import_module(module_name)
        for part in name.split("."):
            found = getattr(found, part)
        return found
    except Exception as error:
        # The import of a project may raise anything.
        text = without_logins(f"{type(error).__name__}: {error}")
        raise BadImport(f"Cannot import the {what} {path!r}: {text}") from error
