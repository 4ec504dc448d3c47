"""System checks: a setting that cannot work is found by ``manage.py check``, not by the first client."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error, register

from channels_classic.asgi import channel_layers
from channels_classic.exceptions import InvalidChannelLayerError


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
