"""The state that all HTTP exchanges of a process share."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Coroutine
from typing import Any

from channels_classic.log import logger
from interface_server.context import Context
from interface_server.http.answer import is_of_dead_worker
from interface_server.spool import Storage
from interface_server.timeouts import Timeouts

MEMORY = 64 * 2**20
"""Bytes of bodies that are kept in memory, and as many of answers."""

UPLOADS = 64
"""How many long bodies are on their way to workers at once, each with a handful of messages in the layer."""

REMEMBERED = 1000
"""How many exchanges are remembered after their end, for the log."""

REMEMBERED_PATH = 200
"""Characters of each path that are remembered."""


class Exchanges:
    """Storage, time limits and what is remembered.

    Arguments:
        context: of the process.
    """

    def __init__(self, context: Context) -> None:
        options = context.options
        self.context = context
        self.timeouts = Timeouts(options.http_timeout)
        self.bodies = Storage(options.max_bodies_size, MEMORY)
        self.answers = Storage(options.max_answers_size, MEMORY)
        self.uploads = asyncio.Semaphore(UPLOADS)
        self._answered: OrderedDict[str, str] = OrderedDict()  # a dict takes ever longer to find its first key
        self._tasks: set[asyncio.Task[None]] = set()
        context.reader.late = self._deliver_late

    def run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Let ``coroutine`` run, even when the exchange that it belongs to is over."""
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("What was left of an exchange could not be done:", exc_info=error)

    def remember(self, reply_channel: str, path: str) -> None:
        """The request for ``path`` was answered."""
        if len(self._answered) >= REMEMBERED:
            self._answered.popitem(last=False)
        self._answered[reply_channel] = path[:REMEMBERED_PATH]

    def _deliver_late(self, reply_channel: str, content: dict[str, Any]) -> None:
        """Take a message for a client that is gone: a second answer is a mistake that somebody should hear of."""
        if "status" not in content or is_of_dead_worker(content):
            return
        if (path := self._answered.get(reply_channel)) is not None:
            logger.error("A second answer to %s was ignored.", path)
