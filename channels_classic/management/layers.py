"""``using_layer``: errors of commands that look into a channel layer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError

from channels_classic.exceptions import InvalidChannelLayerError
from channels_classic.layers import LayerUnavailable


@contextmanager
def using_layer(alias: str) -> Iterator[None]:
    """A block that looks up a layer and uses it.

    Raises:
        CommandError: there is no such layer, or it cannot be used now.
    """
    try:
        yield
    except InvalidChannelLayerError as error:
        raise CommandError(str(error)) from error
    except LayerUnavailable as error:
        raise CommandError(f"CHANNEL_LAYERS[{alias!r}] cannot be used now. {error}") from error
