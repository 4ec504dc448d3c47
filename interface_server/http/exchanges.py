"""``Exchanges``: the state that all HTTP exchanges of a process share."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Coroutine
from typing import Any

from channels_classic.log import logger
from channels_classic.log_context import about_client
from interface_server.context import Context
from interface_server.http.answer import is_of_dead_worker
from interface_server.spool import Storage
from interface_server.timeouts import Timeouts

MEMORY = 64 * 2**20
"""Bytes of bodies that are kept in memory. The same number applies to answers."""

UPLOADS = 64
"""How many long bodies are on their way to workers at once. Each has a few messages in the layer."""

REMEMBERED = 1000
"""How many exchanges are remembered, for the log, after their end."""

REMEMBERED_PATH = 200
"""How many characters of each path are remembered."""


class Exchanges:
    """Storage, time limits, and the paths of exchanges that have ended.

    Arguments:
        context: the context of the process.
    """

    def __init__(self, context: Context) -> None:
        options = context.options
        self.context = context
        self.timeouts = Timeouts(options.http_timeout)
        self.bodies = Storage(options.max_bodies_size, MEMORY)
        self.answers = Storage(options.max_answers_size, MEMORY)
        self.uploads = asyncio.Semaphore(UPLOADS)
        self._answered: OrderedDict[str, str] = OrderedDict()  # in a dict, finding the first key takes ever longer
        self._tasks: set[asyncio.Task[None]] = set()
        context.reader.late = self._deliver_late

    def run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run ``coroutine`` in a task that may outlive its exchange."""
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("What was left of an exchange could not be done:", exc_info=error)

    def remember(self, reply_channel: str, path: str) -> None:
        """Remember that the request for ``path`` was answered."""
        if len(self._answered) >= REMEMBERED:
            self._answered.popitem(last=False)
        self._answered[reply_channel] = path[:REMEMBERED_PATH]

    def _deliver_late(self, reply_channel: str, content: dict[str, Any]) -> None:
        """Take a message for a client that is gone. A second answer is an error of a consumer, so it is logged."""
        if "status" not in content or is_of_dead_worker(content):
            return
        if (path := self._answered.get(reply_channel)) is not None:
            logger.error("A second answer to %s was ignored.", path, extra=about_client(reply_channel))
