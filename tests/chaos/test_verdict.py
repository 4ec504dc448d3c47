from collections import Counter, defaultdict
from collections.abc import Sequence

import pytest

from chaos.acts import Act, Limits, nothing
from chaos.crowd import CLOSED, DROPPED, LEFT, Page, Visit
from chaos.ledger import Entry
from chaos.verdict import Count, Played, judge


def visit(frames: int = 3, answered: int = 3, how: str = LEFT, ended: float = 60.0) -> Visit:
    """A socket that sends a frame each second from second 10 on, and gets the answer half a second later."""
    answers = defaultdict(list, {n: [10.0 + n + 0.5] for n in range(1, answered + 1)})
    sent = {n: 10.0 + n for n in range(1, frames + 1)}
    return Visit("s", 0, 8000, 10.0, ended, how, sent, answers, Counter())


def ledger(runs: list[int], goodbyes: int = 1, at: float = 60.1) -> list[Entry]:
    entries = [Entry(11.0 + position, "run", "s", number) for position, number in enumerate(runs)]
    return entries + [Entry(at, "disconnect", "s", 1000)] * goodbyes


STRICT = Limits()


def judged(visit: Visit, entries: list[Entry], pages: Sequence[Page] = (), limits: Limits = STRICT) -> Count:
    played = [Played(Act("an act", "a promise", limits, nothing), 10.0, 20.0, 70.0)]
    return judge(played, [visit], pages, [], entries)[0]


def test_all_is_well():
    count = judged(visit(), ledger([1, 2, 3]))
    assert (count.sent, count.run, count.answered, count.longest) == (3, 3, 3, 0.5)
    assert count.broken == []


@pytest.mark.parametrize(
    ("visit", "entries", "what"),
    [
        (visit(answered=2), ledger([1, 2]), "lost: 1"),
        (visit(answered=2), ledger([1, 2, 3]), "unanswered: 1"),
        (visit(), ledger([1, 2, 2, 3]), "twice: 1"),
        (visit(), ledger([2, 1, 3]), "out of order: 1"),
        (visit(), ledger([1, 2, 3], goodbyes=0), "late goodbyes: 1"),
        (visit(), ledger([1, 2, 3], goodbyes=2), "late goodbyes: 1"),
        (visit(), ledger([1, 2, 3], at=80.0), "late goodbyes: 1"),
        (visit(how=DROPPED), ledger([1, 2, 3]), "dropped sockets: 1"),
        (visit(how=CLOSED), ledger([1, 2, 3]), "sockets closed by the server: 1"),
        (visit(answered=2, how=CLOSED), ledger([1, 2]), "lost: 1"),
    ],
)
def test_broken_promises_are_reported(visit, entries, what):
    assert what in "; ".join(judged(visit, entries).broken)


def test_what_a_server_had_when_its_connection_was_cut_is_in_doubt():
    count = judged(visit(answered=1, how=DROPPED, ended=13.1), ledger([1], at=14.0), limits=Limits(dropped=None))
    assert (count.in_doubt, count.lost, count.broken) == (2, 0, [])


def test_pages_that_fail():
    pages = [Page(12.0, 200, 0.01), Page(12.5, 503, 3.0), Page(13.0, 0, 0.1)]
    count = judged(visit(), ledger([1, 2, 3]), pages)
    assert (count.pages, count.failed_pages, count.longest_page) == (3, 2, 3.0)
    assert count.broken == ["failed pages: 2, at most 0"]
    assert judged(visit(), ledger([1, 2, 3]), pages, Limits(failed_pages=None)).broken == []
