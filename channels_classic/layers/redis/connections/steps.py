"""The steps of a call: what it asks of the servers, apart from how that is carried out.

A call is written down once, as a generator of round trips, and carried out by ``Transport`` for threads and for
event loops. A test can carry the steps out as well, in any order it likes.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Any, TypeVar

from channels_classic.layers.exceptions import LayerUnavailable

Command = tuple[Any, ...]
"""A command of Redis, or the name of a Lua script (``scripts``) and its arguments."""

Answers = dict[int, Sequence[Any]]
"""For each server, by its position, the answers to its commands."""

Result = TypeVar("Result")


class Trips:
    """Round trips that are made together: the commands for each server, by its position.

    Arguments:
        partial: the steps go on although a part has failed, with a ``LayerUnavailable`` in the place of each
            answer that did not come. Otherwise the failure is raised where the round trips were asked for.
        wait: seconds that one of the commands lets its server wait, on top of the time for an answer.
    """

    __slots__ = ("commands", "partial", "wait")

    def __init__(self, partial: bool = False, wait: float = 0) -> None:
        self.commands: dict[int, list[Command]] = {}
        self.partial = partial
        self.wait = wait

    def __bool__(self) -> bool:
        return bool(self.commands)

    def add(self, server: int, *commands: Command) -> None:
        """Put commands for a server behind those that it has."""
        self.commands.setdefault(server, []).extend(commands)

    def failure(self, answers: Answers) -> LayerUnavailable | None:
        """The exception to raise in the place of these answers."""
        if self.partial:
            return None
        return failure_in(answer for of_server in answers.values() for answer in of_server)


Steps = Generator[Trips, Answers, Result]


def one_round_trip(trips: Trips) -> Steps[None]:
    """The steps of a call that is one round trip, whose answers say nothing."""
    if trips:
        yield from change(trips)


def change(trips: Trips) -> Steps[Answers]:
    """Make round trips that change something: of several servers one may do it though another fails.

    Raises:
        LayerUnavailable: one of them has failed; ``nothing_done`` is about all of them.
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
    """Steps that come before anything is sent or changed: if they fail, nothing was done."""
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
    """The answers, none of which is an error.

    Raises:
        LayerUnavailable: one of them is.
    """
    if (failure := failure_in(answers)) is not None:
        raise failure
    return answers
