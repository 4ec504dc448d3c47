"""The applications that serve paths of their own in this process, by ``--mount`` and ``--health-path``."""

from __future__ import annotations

from collections.abc import Sequence

from channels_classic.layers import BaseChannelLayer
from channels_classic.redaction import one_line
from interface_server.asgi_types import Application
from interface_server.health_path import HealthPath
from interface_server.program.imports import BadImport, import_application


class BadMount(ValueError):
    """An application cannot be mounted. The text names the option, and what was expected."""


def make_mounts(values: Sequence[str], health_path: str | None, layer: BaseChannelLayer) -> dict[str, Application]:
    """Make the applications to mount, by path.

    Arguments:
        values: those of ``--mount``: ``PATH=MODULE:APPLICATION``.
        health_path: the path for health checks, if there is one.
        layer: the channel layer of this process.

    Raises:
        BadMount: an application cannot be imported, or its path is not valid.
    """
    mounts: dict[str, Application] = {}
    if health_path is not None:
        if not health_path.startswith("/") or not health_path.strip("/"):
            raise BadMount(f"--health-path must be a path such as /healthz, not {health_path!r}.")
        mounts[health_path.rstrip("/")] = HealthPath(layer)
    for value in values:
        path, equals, application = value.partition("=")
        if not (equals and path.startswith("/")):
            raise BadMount(
                f"--mount must be PATH=MODULE:APPLICATION, for example /async=myproject.asgi:application, not "
                f"{value!r}."
            )
        if path in mounts:
            raise BadMount(f"--mount {path} is given twice, or is the --health-path.")
        try:
            mounts[path] = import_application(application)
        except BadImport as error:
            raise BadMount(f"--mount {path}: {one_line(error)}") from error
    return mounts
