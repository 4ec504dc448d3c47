"""Pauses before retries."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from channels_classic.backoff import Backoff


def test_the_pauses_double_up_to_the_bound() -> None:
    backoff = Backoff(shortest=0.1, longest=1.0)
    pauses = [backoff.fail() for _ in range(6)]
    for pause, step in zip(pauses, (0.1, 0.2, 0.4, 0.8, 1.0, 1.0), strict=True):
        assert step / 2 <= pause <= step


@given(st.integers(1000, 5000))
def test_hours_of_failures_do_not_overflow(failures: int) -> None:
    backoff = Backoff(longest=30)
    for _ in range(failures):
        assert 0 < backoff.fail() <= 30


def test_success_begins_anew() -> None:
    backoff = Backoff()
    assert not backoff.succeed()
    for _ in range(5):
        backoff.fail()
    assert backoff.succeed()
    assert backoff.failures == 0
    assert backoff.fail() <= 0.1


def test_the_log_hears_of_the_first_failure_of_a_row_and_then_of_few() -> None:
    backoff = Backoff()
    assert not backoff.is_news
    news = []
    for number in range(1000):
        backoff.fail()
        if backoff.is_news:
            news.append(number)
    assert news[0] == 0
    assert 2 <= len(news) <= 10
    backoff.succeed()
    backoff.fail()
    assert backoff.is_news


def test_the_random_numbers_of_a_project_do_not_depend_on_it() -> None:
    former = random.getstate()
    Backoff().fail()
    assert random.getstate() == former
