"""Notices workers of another project that take messages of this one, because both use the same prefix."""

from __future__ import annotations

from django.conf import settings

from channels_classic.layers import BaseChannelLayer, Process
from channels_classic.log import logger


def site() -> str:
    """What tells projects apart: the module with the URLs."""
    return str(getattr(settings, "ROOT_URLCONF", ""))


def tell_of_strangers(layer: BaseChannelLayer, own: Process) -> None:
    """Log an error if workers of another project receive on the channels of this process.

    Workers of one project may have different settings, and different versions of it may run during a deployment.
    So only the module with the URLs counts.

    Arguments:
        own: this process, as the registry has it.

    Raises:
        LayerUnavailable: the server behind the layer does not answer.
    """
    told = {own.details.get("site")}
    for process in layer.processes():
        other = process.details.get("site")
        shared = set(own.details.get("channels", ())) & set(process.details.get("channels", ()))
        if not other or other in told or not shared:
            continue
        told.add(other)
        logger.error(
            "Workers of another project (ROOT_URLCONF %r, process %s on %s) receive on the same channels of the "
            "same layer: %s. Each project gets messages of the other. Give each project a prefix of its own, with "
            "'prefix' in CONFIG of CHANNEL_LAYERS, and with --prefix of channels-interface.",
            other,
            process.details.get("pid"),
            process.details.get("host"),
            ", ".join(sorted(shared)),
        )
