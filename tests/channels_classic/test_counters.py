"""``Counters``: what a process counts, and what it publishes of it."""

from __future__ import annotations

import threading

import msgpack

from channels_classic.counters import BUCKETS, ERRORS_KEPT, MOST_CONSUMERS, OTHERS, Counters


def test_a_bound_belongs_to_its_bucket() -> None:
    count = Counters().consumer("a")
    for bound in BUCKETS:
        count.add(bound)
    assert count.buckets == [1] * len(BUCKETS) + [0]
    count.add(BUCKETS[-1] + 1)
    assert count.buckets[-1] == 1
    assert count.calls == len(BUCKETS) + 1


def test_consumers_beyond_the_limit_are_counted_together() -> None:
    counters = Counters()
    for number in range(MOST_CONSUMERS + 50):
        counters.consumer(f"consumer {number}").add(0)
    assert len(counters.consumers) == MOST_CONSUMERS + 1
    assert counters.consumer(OTHERS).calls == 50


def test_threads_lose_no_count() -> None:
    counters = Counters()

    def count() -> None:
        for _ in range(50_000):
            counters.received += 1
            counters.consumer("a").add(0.002)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counters.received == counters.consumer("a").calls == 200_000


def test_the_summary_is_small_and_has_no_exception_texts() -> None:
    counters = Counters()
    for number in range(100):
        counters.consumer(f"consumer {number}").add(number)
        counters.note_error(f"consumer {number}", ValueError("a secret"))
    summary = counters.summary()
    assert next(iter(summary["consumers"])) == "consumer 99"
    assert len(summary["errors"]) == ERRORS_KEPT
    assert summary["errors"][-1][1:] == ["consumer 99", "ValueError"]
    packed = msgpack.packb(summary)
    assert b"secret" not in packed
    assert len(packed) < 2000
