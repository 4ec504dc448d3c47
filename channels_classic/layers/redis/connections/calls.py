"""A call in an event loop that can go on after its task was cancelled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic

from channels_classic.layers.redis.connections.async_server import AsyncServer, Interrupted
from channels_classic.layers.redis.connections.steps import Answers, Result, Steps, Trips


class Call(Generic[Result]):
    """Carries out the steps of a call.

    Arguments:
        servers: the servers of the running event loop.
        steps: the steps of the call.
        takes: whether the steps take something out of the servers. Then no answer is lost if the task is
            cancelled, and ``run`` can be called again.
    """

    def __init__(self, servers: Sequence[AsyncServer], steps: Steps[Result], takes: bool) -> None:
        self.has_answers = False
        """Whether a server has answered anything yet."""
        self._servers = servers
        self._steps = steps
        self._takes = takes
        # The round trips that have been started, and their answers so far.
        self._trips: Trips | None = None
        self._answers: Answers = {}

    async def run(self) -> Result:
        """Carry out the steps, from where they were interrupted, and return their result.

        Raises:
            LayerUnavailable: see the steps.
        """
        steps = self._steps
        try:
            trips = self._trips or next(steps)
            while True:
                self._trips = trips
                await self._make(trips)
                answers, self._answers = self._answers, {}
                failure = trips.failure(answers)
                trips = steps.send(answers) if failure is None else steps.throw(failure)
        except StopIteration as stop:
            result: Result = stop.value
            return result

    async def _make(self, trips: Trips) -> None:
        """Make the round trips that have not been made yet."""
        for number, commands in trips.commands.items():
            if number in self._answers:
                continue
            try:
                self._answers[number] = await self._servers[number].round_trip(commands, trips.wait, self._takes)
            except Interrupted as interrupted:
                self._answers[number] = interrupted.answers
                self.has_answers = True
                raise
            self.has_answers = True
