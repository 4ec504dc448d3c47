"""Runs the steps of several calls in every possible order, one round trip at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from channels_classic.layers.redis.connections.server import Server
from channels_classic.layers.redis.connections.steps import Steps


def all_schedules(run: Callable[[Callable[[int], int]], None]) -> int:
    """Call ``run`` once for every combination of the choices that it asks for. Returns the number of calls.

    Arguments:
        run: called with a function that chooses a number below its argument.
    """
    script: list[int] = []
    count = 0
    while True:
        count += 1
        choices = _Choices(script)
        run(choices.choose)
        made = choices.made
        while made and made[-1][0] + 1 == made[-1][1]:
            made.pop()
        if not made:
            return count
        script = [choice for choice, _ in made[:-1]] + [made[-1][0] + 1]


class _Choices:
    """Makes the choices of a script, then always the first one, and records the questions."""

    def __init__(self, script: Sequence[int]) -> None:
        self._script = script
        self.made: list[tuple[int, int]] = []

    def choose(self, options: int) -> int:
        choice = self._script[len(self.made)] if len(self.made) < len(self._script) else 0
        self.made.append((choice, options))
        return choice


def interleave(
    servers: Sequence[Server], calls: Sequence[Iterator[Steps[Any]]], choose: Callable[[int], int]
) -> list[tuple[int, Any]]:
    """Carry out calls, one round trip of one of them at a time, in the order that ``choose`` decides.

    Arguments:
        calls: each a sequence of calls that are made one after another.

    Returns:
        For each call that ended, in the order of ending, the position of its sequence and its result.
    """
    results: list[tuple[int, Any]] = []
    running = {}

    def go_on(number: int, answers: Any = None) -> None:
        while True:
            steps, _ = running.pop(number, (None, None))
            steps = steps or next(calls[number], None)
            if steps is None:
                return
            try:
                running[number] = (steps, steps.send(answers))
                return
            except StopIteration as stop:
                results.append((number, stop.value))
                answers = None

    for number in range(len(calls)):
        go_on(number)
    while running:
        number = sorted(running)[choose(len(running))]
        trips = running[number][1]
        go_on(number, {server: servers[server].round_trip(trips.commands[server]) for server in trips.commands})
    return results
