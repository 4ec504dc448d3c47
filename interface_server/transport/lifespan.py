"""The lifespan of an application (ASGI 3)."""

from __future__ import annotations

import asyncio

from interface_server.asgi_types import Application, Event


class StartupFailed(Exception):
    """The application could not start. The text says why."""


class Lifespan:
    """Starts and stops an application, and notices when it dies in between.

    An application that raises before it takes the first event does not support lifespan events, and is served
    without.

    Arguments:
        application: the ASGI 3 application.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self._to_application: asyncio.Queue[Event] = asyncio.Queue()
        self._from_application: asyncio.Queue[Event] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def startup(self) -> None:
        """Start the application.

        Raises:
            StartupFailed: it reports a failure, or raises.
        """
        task = asyncio.create_task(self._run(), name="lifespan")
        answer = await self._say("lifespan.startup", task)
        if answer is None:
            error = None if task.cancelled() else task.exception()
            if error is not None and self._to_application.empty():
                raise StartupFailed(f"The application could not start: {error!r}") from error
        elif answer["type"] == "lifespan.startup.failed":
            task.cancel()
            raise StartupFailed(answer.get("message") or "The application could not start.")
        else:
            self._task = task

    async def died(self) -> BaseException:
        """Wait until the application dies.

        Returns:
            The error that it died of. An application whose lifespan ends before the shutdown has died.
        """
        if self._task is None:
            await asyncio.Event().wait()
        assert self._task is not None
        await asyncio.wait([self._task])
        error = None if self._task.cancelled() else self._task.exception()
        return error or RuntimeError("its lifespan ended before the server did")

    async def shutdown(self) -> None:
        """Stop the application, if it is running.

        Raises:
            Exception: the error that the application raises.
        """
        if self._task is None or self._task.done():
            return
        await self._say("lifespan.shutdown", self._task)
        await self._task

    async def _say(self, event: str, task: asyncio.Task[None]) -> Event | None:
        """Send the application an event. Returns its answer, or ``None`` if it ends without one."""
        self._to_application.put_nowait({"type": event})
        answer = asyncio.ensure_future(self._from_application.get())
        await asyncio.wait([answer, task], return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        answer.cancel()
        return None

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}}
        await self._application(scope, self._to_application.get, self._from_application.put)
