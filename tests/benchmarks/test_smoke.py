"""The parts of the benchmark suite that need nothing beside the test dependencies."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from types import SimpleNamespace

import pytest

from benchmarks import report
from benchmarks.clients.http import HttpLoad
from benchmarks.clients.recorder import Recorder, percentile
from benchmarks.environments import ROOT, Environment, SetupError, find_python
from benchmarks.results import Circumstances, Measurement, Results, median
from benchmarks.stacks import BROADCAST, HTTP, IDLE, STACKS, Stack

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nHello\r\n0\r\n\r\n"
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


async def load_http(answer: Callable[[int], bytes | None]) -> tuple[Recorder, int]:
    """Load a server whose n-th answer is ``answer(n)``; ``None`` closes the connection.

    Returns what the client saw and how many requests the server saw.
    """
    requests = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                requests += 1
                content = answer(requests)
                if content is None:
                    break
                writer.write(content)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        recorder = Recorder()
        load = HttpLoad(server.sockets[0].getsockname()[1], "/hello", 3, recorder)
        await load.open()
        load.begin()
        deadline = asyncio.get_running_loop().time() + 10
        while len(recorder.latencies) < 30 and not recorder.failure:
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.001)
        await load.finish()
    return recorder, requests


@pytest.mark.parametrize("content", [OK, CHUNKED])
def test_every_request_is_noted_once(content: bytes) -> None:
    recorder, requests = asyncio.run(load_http(lambda number: content))
    assert recorder.failure is None
    assert len(recorder.latencies) == requests


@pytest.mark.parametrize(
    ("third", "reason"), [(UNAVAILABLE, "HTTP status 503"), (None, "the server closed a kept connection")]
)
def test_errors_are_recorded(third: bytes | None, reason: str) -> None:
    recorder, _ = asyncio.run(load_http(lambda number: third if number == 3 else OK))
    assert recorder.failure == reason


def test_percentiles_are_exact() -> None:
    ordered = [float(number) for number in range(1, 101)]
    assert [percentile(ordered, share) for share in (0.0, 0.5, 0.99, 1.0)] == [1, 50, 99, 100]
    assert percentile([7.0], 0.99) == 7


def test_rounds_that_failed_do_not_enter_the_median() -> None:
    rounds = [Measurement(rate=1.0), Measurement(failure="broken"), Measurement(rate=3.0)]
    assert median(rounds) == Measurement(rate=2.0)
    assert median(rounds[1:2]) == Measurement(failure="broken")


def test_the_spread_is_that_of_the_rounds_that_succeeded() -> None:
    results = Results()
    for measurement in (Measurement(rate=3.0), Measurement(failure="broken"), Measurement(rate=1.0)):
        results.add("traffic", "ours", measurement)
    results.add("traffic", "once", Measurement(rate=1.0))
    assert results.spread("traffic", "ours") == (1.0, 3.0)
    assert results.spread("traffic", "once") is None


def test_the_cpu_time_is_that_of_servers_and_redis() -> None:
    assert Measurement(server_cpu=2.0, redis_cpu=1.0).cpu == 3.0
    assert Measurement(server_cpu=2.0).cpu == 2.0
    assert Measurement(failure="broken").cpu is None


def test_a_python_that_is_not_there_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SetupError, match="set PYTHON21 to its path"):
        find_python("2.1")


def stack(name: str, **options: object) -> Stack:
    return Stack(name, f"the {name}", Environment(name, ()), "plain", (), frozenset(), **options)  # type: ignore[arg-type]


def load(name: str, kind: str) -> SimpleNamespace:
    return SimpleNamespace(name=name, title=f"Load {name}", kind=kind, unit="things")


def test_the_table_has_ratios_failures_and_the_better_variant() -> None:
    stacks = [
        stack("ours"),
        stack("slow", family="old", capacities={BROADCAST: 1000}),
        stack("faster", family="old"),
        stack("broken"),
    ]
    loads = [load("traffic", BROADCAST), load("idle", IDLE)]
    results = Results()
    for name, rate in (("ours", 1200.0), ("slow", 100.0), ("faster", 300.0)):
        results.add("traffic", name, Measurement(rate=rate, p50=0.001, p99=0.002))
    results.add("traffic", "broken", Measurement(failure="no | Python"))
    results.add("idle", "ours", Measurement(server_cpu=0.002, redis_cpu=0.002, memory=10240))
    results.add("idle", "slow", Measurement(server_cpu=0.01, redis_cpu=0.01, memory=20480))
    plan = SimpleNamespace(seconds=1, warm_up=1, size=64)
    circumstances = Circumstances("a machine", date(2026, 1, 2), "7.0", plan, 3, {"ours": "Python 3"})  # type: ignore[arg-type]

    text = report.markdown(loads, stacks, results, circumstances, None)  # type: ignore[arg-type]

    rows = [line for line in text.splitlines() if line.startswith("| the ")]
    assert rows[0].startswith("| the ours | – | 1,200 | 1.00 | 2.00 |")  # noqa: RUF001
    assert rows[1].startswith("| the faster | – | 300 |")  # noqa: RUF001
    assert rows[1].endswith("| 4.0 × |")  # noqa: RUF001
    assert rows[2].startswith("| the broken | failed: no / Python |")
    assert rows[3] == "| the ours | 10.0 | 0.20 | 0.20 | 0.40 |  |"
    assert rows[4] == "| the slow | 20.0 | 1.00 | 1.00 | 2.00 | 5.0 × |"  # noqa: RUF001
    terminal = report.terminal(loads, stacks, results)  # type: ignore[arg-type]
    assert "failed: no | Python" in terminal
    assert "the slow" in terminal.split("Load idle")[1]


def test_a_raised_capacity_is_told() -> None:
    results = Results()
    results.add("traffic", "slow", Measurement(rate=1.0))
    slow = stack("slow", capacities={HTTP: 1000})
    assert "the slow (capacity 1,000)" in report.terminal([load("traffic", HTTP)], [slow], results)  # type: ignore[list-item]


def test_the_names_of_stacks_are_unique_and_their_sites_exist() -> None:
    assert len({stack.name for stack in STACKS}) == len(STACKS)
    for each in STACKS:
        assert (ROOT / "benchmarks" / "sites" / each.site).is_dir()


@pytest.mark.parametrize("work", ["send", "receive", "send-receive", "group-10"])
def test_the_layer_program_measures_the_redis_layer(redis_url: str, work: str) -> None:
    program = ROOT / "benchmarks" / "layer_program.py"
    backend = "channels_classic.layers.RedisChannelLayer"
    finished = subprocess.run(
        [sys.executable, str(program), backend, redis_url, work, "0.1", "64"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert finished.returncode == 0, finished.stderr
    answer = json.loads(finished.stdout)
    assert answer["operations"] > 0
    assert answer["seconds"] == pytest.approx(
        sum(answer["latencies"]) * answer["operations"] / len(answer["latencies"])
    )
