"""The steps of a call: the round trips that it needs, apart from how they are made.

A call is written once, as a generator of round trips. ``Transport`` carries it out for threads and for event
loops. A test can carry out the steps itself, in any order.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Any, TypeVar

from channels_classic.layers.exceptions import LayerUnavailable

Command = tuple[Any, ...]
"""A command of Redis, or the name of a Lua script (in ``scripts``) with its arguments."""

Answers = dict[int, Sequence[Any]]
"""For each server, by its position, the answers to its commands."""

Result = TypeVar("Result")


class Trips:
    """Round trips that are made together: the commands for each server, by the position of the server.

    Arguments:
        partial: whether the steps go on if a part has failed, with a ``LayerUnavailable`` in place of each missing
            answer. Otherwise the error is raised in the steps.
        wait: seconds that one of the commands makes its server wait, on top of the time for an answer.
    """

    __slots__ = ("commands", "partial", "wait")

    def __init__(self, partial: bool = False, wait: float = 0) -> None:
        self.commands: dict[int, list[Command]] = {}
        self.partial = partial
        self.wait = wait

    def __bool__(self) -> bool:
        return bool(self.commands)

    def add(self, server: int, *commands: Command) -> None:
        """Append commands for a server."""
        self.commands.setdefault(server, []).extend(commands)

    def failure(self, answers: Answers) -> LayerUnavailable | None:
        """The exception to raise instead of these answers, if there is one."""
        if self.partial:
            return None
        return failure_in(answer for of_server in answers.values() for answer in of_server)


Steps = Generator[Trips, Answers, Result]


def one_round_trip(trips: Trips) -> Steps[None]:
    """The steps of a call with a single round trip whose answers do not matter."""
    if trips:
        yield from change(trips)


def change(trips: Trips) -> Steps[Answers]:
    """Make round trips that change something. One server may carry out its part although another one fails.

    Raises:
        LayerUnavailable: one of them has failed. ``nothing_done`` tells about all of them.
    """
    trips.partial = True
    answers = yield trips
    every = [answer for of_server in answers.values() for answer in of_server]
    failure = failure_in(every)
    if failure is not None:
        failure.nothing_done = all(isinstance(one, LayerUnavailable) and one.nothing_done for one in every)
        raise failure
    return answers


def nothing_done_yet(steps: Steps[Result]) -> Steps[Result]:
    """Carry out steps that send and change nothing: if they fail, nothing was done."""
    try:
        return (yield from steps)
    except LayerUnavailable as error:
        error.nothing_done = True
        raise


def failure_in(answers: Iterable[Any]) -> LayerUnavailable | None:
    """The first error among answers."""
    for answer in answers:
        if isinstance(answer, LayerUnavailable):
            return answer
    return None


def checked(answers: Sequence[Any]) -> Sequence[Any]:
    """Check that none of the answers is an error, and return them.

    Raises:
        LayerUnavailable: one of them is an error.
    """
    if (failure := failure_in(answers)) is not None:
        raise failure
    return answers
