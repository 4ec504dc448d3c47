"""System checks: a setting that cannot work is found by ``manage.py check``, not by the first client."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from channels_classic.asgi import channel_layers
from channels_classic.exceptions import InvalidChannelLayerError
from channels_classic.sessions.store import keeps_sessions


@register("channels")
def check_channel_layers(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Every entry of ``CHANNEL_LAYERS`` makes a layer and a router."""
    try:
        aliases = list(channel_layers.configs)
    except InvalidChannelLayerError as error:
        return [Error(str(error), id="channels.E001")]
    errors: list[CheckMessage] = []
    for alias in aliases:
        try:
            channel_layers.make_backend(alias).close()
        except InvalidChannelLayerError as error:
            errors.append(Error(str(error), id="channels.E001"))
    return errors


@register("channels")
def check_session_engine(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The engine for HTTP sessions can tell an open socket that a session has ended."""
    try:
        if keeps_sessions(settings.SESSION_ENGINE):
            return []
    except (ImportError, AttributeError):
        return []  # an engine that is none stops every page, and needs no warning
    return [
        Warning(
            f"SESSION_ENGINE is {settings.SESSION_ENGINE!r}, which keeps sessions in signed cookies: nothing on "
            "the server knows that somebody logged out, and an open WebSocket keeps the user it began with.",
            hint="Set SESSION_ENGINE to an engine that keeps sessions on the server, such as "
            "django.contrib.sessions.backends.cached_db. Or close the sockets of a user who logs out yourself, in "
            "a receiver of the signal user_logged_out, and add 'channels.W001' to SILENCED_SYSTEM_CHECKS.",
            id="channels.W001",
        )
    ]
