"""``Mounts``: ASGI applications in this process that serve paths of their own, without a worker."""

from __future__ import annotations

from collections.abc import Mapping

from channels_classic.log import logger
from interface_server.asgi_types import Application
from interface_server.transport.lifespan import Lifespan


class Mounts:
    """Finds the application for a path, and starts and stops the applications with the server.

    An application sees the whole path, so its own URL patterns stay as they are.

    Arguments:
        applications: by the path that each is for, such as ``/async``. It is for all paths below as well:
            ``/async/chat``, but not ``/asynchronous``. The longest path that fits counts.
    """

    def __init__(self, applications: Mapping[str, Application]) -> None:
        by_length = sorted(applications, key=len, reverse=True)
        self._applications = [(path.rstrip("/") + "/", applications[path]) for path in by_length]
        # One application may be mounted at several paths; it has one life.
        self._lifespans = [Lifespan(application) for application in dict.fromkeys(applications.values())]

    def find(self, path: str) -> Application | None:
        """The application for ``path``, or ``None`` if the layer's workers serve it."""
        for prefix, application in self._applications:
            if path.startswith(prefix) or path == prefix[:-1]:
                return application
        return None

    async def start(self) -> None:
        """Start the applications that want to know.

        Raises:
            StartupFailed: one says that it cannot start.
        """
        for lifespan in self._lifespans:
            await lifespan.startup()

    async def stop(self) -> None:
        """Stop those that were started, each of them whatever another one does."""
        for lifespan in self._lifespans:
            try:
                await lifespan.shutdown()
            except Exception:
                logger.exception("A mounted application failed at its shutdown:")
