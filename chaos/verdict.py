"""The verdict on an act: counts every frame and page, and compares the counts with the promise."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from chaos.acts import Act
from chaos.crowd import CLOSED, DROPPED, Page, Visit
from chaos.ledger import Entry

BEFORE_SECONDS = 1.0
"""Seconds before an act from which on a frame belongs to the act, which may have hit the frame on its way."""

UNDER_WAY_SECONDS = 0.25
"""Seconds before the end of a socket from which on its frame may have crossed the close."""

GOODBYE_SECONDS = 15.0
"""Seconds after the end of a socket within which its ``websocket.disconnect`` has to run."""


class Played(NamedTuple):
    """An act that was played, with its times by the monotonic clock.

    Arguments:
        began: the beginning of its fault.
        ended: the time at which everything ran again.
        over: the beginning of the next act.
    """

    act: Act
    began: float
    ended: float
    over: float


@dataclass
class Count:
    """What happened in one act.

    Arguments:
        in_doubt: frames on their way when their socket ended.
        longest: seconds between a frame and its answer.
        twice: frames that ran, or whose answer came, more than once, and messages to a room that came twice.
        late_goodbyes: sockets whose ``websocket.disconnect`` did not run in time, or ran more than once.
    """

    sent: int = 0
    run: int = 0
    answered: int = 0
    in_doubt: int = 0
    lost: int = 0
    unanswered: int = 0
    twice: int = 0
    out_of_order: int = 0
    closed: int = 0
    dropped: int = 0
    late_goodbyes: int = 0
    longest: float = 0.0
    pages: int = 0
    failed_pages: int = 0
    longest_page: float = 0.0
    refused: int = 0
    broken: list[str] = field(default_factory=list)
    """Texts about broken promises."""


def judge(
    played: Sequence[Played],
    visits: Iterable[Visit],
    pages: Iterable[Page],
    refusals: Iterable[float],
    ledger: Iterable[Entry],
) -> list[Count]:
    """Count what happened in each act, and compare it with its limits."""
    counts = [Count() for _ in played]
    runs: dict[str, list[Entry]] = defaultdict(list)
    goodbyes: dict[str, list[Entry]] = defaultdict(list)
    for entry in ledger:
        if entry.what == "run":
            runs[entry.name].append(entry)
        elif entry.what == "disconnect":
            goodbyes[entry.name].append(entry)
    for visit in visits:
        _count_frames(visit, runs[visit.name], lambda time: counts[_act_at(played, time)])
        _count_end(visit, goodbyes[visit.name], lambda time: counts[_act_at(played, time)])
    for page in pages:
        count = counts[_act_at(played, page.time)]
        count.pages += 1
        count.failed_pages += page.status != 200
        count.longest_page = max(count.longest_page, page.seconds)
    for time in refusals:
        counts[_act_at(played, time)].refused += 1
    for one, count in zip(played, counts, strict=True):
        count.broken = list(_broken(one.act, count))
    return counts


def _act_at(played: Sequence[Played], time: float) -> int:
    return max((n for n, one in enumerate(played) if one.began - BEFORE_SECONDS <= time), default=0)


def _count_frames(visit: Visit, runs: Sequence[Entry], count_at: Callable[[float], Count]) -> None:
    ran = Counter(entry.number for entry in runs)
    started = {entry.number: entry.time for entry in runs}
    doubtful_from = float("inf")
    if visit.how == DROPPED:
        doubtful_from = visit.opened  # nobody knows what its server had taken from a connection that was cut
    elif visit.how == CLOSED and visit.ended is not None:
        doubtful_from = visit.ended - UNDER_WAY_SECONDS
    for number, time in visit.sent.items():
        count = count_at(time)
        count.sent += 1
        answers = visit.answers.get(number, [])
        count.run += ran[number] > 0
        count.answered += bool(answers)
        count.twice += ran[number] > 1 or len(answers) > 1
        if answers:
            count.longest = max(count.longest, answers[0] - time)
        elif not ran[number]:
            if time >= doubtful_from:
                count.in_doubt += 1
            else:
                count.lost += 1
        elif started[number] >= doubtful_from:
            count.in_doubt += 1
        else:
            count.unanswered += 1
    for earlier, later in itertools.pairwise(runs):
        if later.number < earlier.number:
            count_at(later.time).out_of_order += 1
    twice = sum(times - 1 for times in visit.heard.values())
    if twice:
        count_at(visit.ended or visit.opened).twice += twice


def _count_end(visit: Visit, goodbyes: Sequence[Entry], count_at: Callable[[float], Count]) -> None:
    if visit.ended is None:
        return
    count = count_at(visit.ended)
    count.closed += visit.how == CLOSED
    count.dropped += visit.how == DROPPED
    if len(goodbyes) != 1 or goodbyes[0].time > visit.ended + GOODBYE_SECONDS:
        count.late_goodbyes += 1


def _broken(act: Act, count: Count) -> Iterable[str]:
    limits = act.limits
    for name, most in (
        ("lost", limits.lost),
        ("unanswered", limits.unanswered),
        ("twice", 0),
        ("out_of_order", 0),
        ("late_goodbyes", 0),
        ("failed_pages", limits.failed_pages),
        ("refused", None if limits.failed_pages is None else 0),
    ):
        if most is not None and getattr(count, name) > most:
            yield f"{name.replace('_', ' ')}: {getattr(count, name)}, at most {most}"
    if count.longest > limits.longest:
        yield f"longest wait: {count.longest:.1f} s, at most {limits.longest:g} s"
    if limits.dropped is not None and count.dropped > limits.dropped:
        yield f"dropped sockets: {count.dropped}, at most {limits.dropped}"
    if count.closed and not limits.closes:
        yield f"sockets closed by the server: {count.closed}, none expected"
