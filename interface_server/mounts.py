"""``Mounts``: ASGI applications that serve paths of their own in this process, without a worker."""

from __future__ import annotations

from collections.abc import Mapping

from channels_classic.log import logger
from interface_server.asgi_types import Application
from interface_server.transport.lifespan import Lifespan


class Mounts:
    """Finds the application for a path, and starts and stops all applications with the server.

    An application sees the whole path, so its own URL patterns stay as they are.

    Arguments:
        applications: by path, such as ``/async``. An application also serves all paths below: ``/async/chat``, but
            not ``/asynchronous``. The longest matching path counts.
    """

    def __init__(self, applications: Mapping[str, Application]) -> None:
        prefixes = [(f"{path.rstrip('/')}/", application) for path, application in applications.items()]
        self._applications = sorted(prefixes, key=lambda mounted: len(mounted[0]), reverse=True)
        # An application that is mounted at several paths has one lifespan.
        self._lifespans = [Lifespan(application) for application in dict.fromkeys(applications.values())]

    def find(self, path: str) -> Application | None:
        """The application for ``path``, or ``None`` if workers serve it."""
        for prefix, application in self._applications:
            if path.startswith(prefix) or path == prefix[:-1]:
                return application
        return None

    async def start(self) -> None:
        """Start the applications that support lifespan events.

        Raises:
            StartupFailed: one of them cannot start.
        """
        for lifespan in self._lifespans:
            await lifespan.startup()

    async def stop(self) -> None:
        """Stop all applications that were started, even if one of them fails."""
        for lifespan in self._lifespans:
            try:
                await lifespan.shutdown()
            except Exception:
                logger.exception("A mounted application failed at its shutdown:")
