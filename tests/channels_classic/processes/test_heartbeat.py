"""The heartbeat of a process: it stays in the registry, notices that it lapsed, and sweeps those that died."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from channels_classic.layers import Beat, InMemoryChannelLayer, LayerUnavailable, Lease, Process
from channels_classic.layers.tracking import BEAT_SECONDS, LIFE_SECONDS
from channels_classic.processes.heartbeat import Absence, Heartbeat, Sweeper, new_process
from tests.worker.conftest import DEADLINE, eventually


class Counted(InMemoryChannelLayer):
    """A layer in memory that counts heartbeats, and is unreachable when the test wants it."""

    life = 0.6

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self.is_away = False
        self.leases: list[list[Lease]] = []

    def beat(self, process: Process, leases: Sequence[Lease] = ()) -> Beat:
        if self.is_away:
            raise LayerUnavailable("It is away.")
        self.leases.append(list(leases))
        return super().beat(process, leases)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("channels_classic.processes.heartbeat.BEAT_SECONDS", 0.02)


def heartbeat_on(layer: Counted, leases: Callable[[], Sequence[Lease]] = tuple) -> Heartbeat:
    return Heartbeat(layer, new_process("worker", threads=1), lambda: new_process("worker", threads=1), leases)


def names(layer: InMemoryChannelLayer) -> list[str]:
    return [process.name for process in layer.processes()]


def test_a_process_says_what_it_is() -> None:
    one, other = new_process("worker", threads=3), new_process("interface")
    assert one.name.startswith("worker.")
    assert other.name.startswith("interface.")
    assert one.details["threads"] == 3
    assert {"kind", "host", "host_id", "pid", "started", "version"} <= set(one.details)
    assert new_process("worker").name != one.name


@pytest.mark.usefixtures("quick")
def test_it_is_in_the_registry_while_it_beats() -> None:
    layer = Counted()
    lease = Lease("interface.a!b", 3, "token")
    heartbeat = heartbeat_on(layer, lambda: [lease])
    assert heartbeat.valid_until == 0
    heartbeat.start()
    eventually(lambda: len(layer.leases) > 3)
    assert names(layer) == [heartbeat.process.name]
    assert layer.leases[0] == [lease]
    assert heartbeat.valid_until > 0
    heartbeat.stop(DEADLINE)
    assert names(layer) == []


@pytest.mark.usefixtures("quick")
def test_while_the_layer_is_away_nothing_is_known_and_then_it_goes_on() -> None:
    layer = Counted()
    heartbeat = heartbeat_on(layer)
    heartbeat.start()
    eventually(lambda: layer.leases)
    layer.is_away = True
    with pytest.raises(LayerUnavailable):
        heartbeat.confirm(heartbeat.process.name)
    layer.is_away = False
    beats = len(layer.leases)
    eventually(lambda: len(layer.leases) > beats)
    heartbeat.stop(DEADLINE)


def test_a_lapse_is_noticed_by_the_next_beat(caplog: pytest.LogCaptureFixture) -> None:
    layer = Counted()
    heartbeat = heartbeat_on(layer)
    former = heartbeat.process
    heartbeat.confirm(former.name)
    layer.sweep(former, lambda process: None)
    heartbeat.confirm("another name")  # somebody who knows of it already
    assert heartbeat.process is former
    heartbeat.confirm(former.name)
    assert heartbeat.process.name != former.name
    assert names(layer) == [heartbeat.process.name]
    assert f"{former.name} was declared dead" in caplog.text


@pytest.mark.usefixtures("quick")
def test_dead_processes_are_swept_once_and_the_log_names_their_messages(caplog: pytest.LogCaptureFixture) -> None:
    layer = Counted()
    dead = Process("worker.dead", {"kind": "worker", "threads": 1, "pid": 7, "host": "there"})
    layer.beat(dead)
    taker = layer.taker(dead.name, 0)
    for number in range(3):
        layer.send("test", {"path": "/a"} if number else {})
    assert len(layer.receive_batch(["test"], 3, taker=taker)) == 3
    heartbeats = [heartbeat_on(layer) for _ in range(3)]
    for heartbeat in heartbeats:
        heartbeat.start()
    eventually(lambda: "has died" in caplog.text)
    for heartbeat in heartbeats:
        heartbeat.stop(DEADLINE)
    lines = [text for text in caplog.messages if "has died" in text and "no messages in hand" not in text]
    assert lines == ["worker.dead (process 7 on there) has died: lost while they ran: test, test /a, test /a."]


def test_one_sweep_at_a_time_for_each_process() -> None:
    begun, go_on = threading.Event(), threading.Event()
    swept: list[str] = []

    class Slow(InMemoryChannelLayer):
        def sweep(self, process: Process, started: Any) -> Any:
            swept.append(process.name)
            begun.set()
            assert go_on.wait(DEADLINE)
            return super().sweep(process, started)

    sweeper = Sweeper(Slow())
    for _ in range(5):
        sweeper.begin(Process("worker.dead", {}))
    assert begun.wait(DEADLINE)
    sweeper.begin(Process("worker.other", {}))
    go_on.set()
    eventually(lambda: len(swept) == 2)
    eventually(lambda: not sweeper._under_way)
    assert sorted(swept) == ["worker.dead", "worker.other"]


def test_a_sweep_for_which_there_was_no_thread_begins_later(monkeypatch: pytest.MonkeyPatch) -> None:
    swept: SimpleQueue[str] = SimpleQueue()

    class Noted(InMemoryChannelLayer):
        def sweep(self, process: Process, started: Any) -> Any:
            swept.put(process.name)

    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    sweeper = Sweeper(Noted())
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", fail)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            sweeper.begin(Process("worker.dead", {}))
    sweeper.begin(Process("worker.dead", {}))
    assert swept.get(timeout=DEADLINE) == "worker.dead"


@pytest.mark.usefixtures("quick")
def test_a_sweep_that_fails_ends_no_heartbeat(caplog: pytest.LogCaptureFixture) -> None:
    tries: list[str] = []

    class Broken(Counted):
        def sweep(self, process: Process, started: Any) -> Any:
            tries.append(process.name)
            raise LayerUnavailable("It is away.") if len(tries) < 3 else KeyError("a bug")

    layer = Broken()
    layer.beat(Process("worker.dead", {}))
    heartbeat = heartbeat_on(layer)
    heartbeat.start()
    eventually(lambda: "worker.dead could not be swept" in caplog.text)
    beats = len(layer.leases)
    eventually(lambda: len(layer.leases) > beats)
    assert len(tries) >= 3
    heartbeat.stop(DEADLINE)


# Who may be judged dead: nobody by a process that has been away itself.


def test_a_new_process_waits_as_long_as_a_process_lives() -> None:
    absence = Absence(lambda: LIFE_SECONDS)
    judged = [absence.can_judge(100 + number * BEAT_SECONDS) for number in range(20)]
    first = judged.index(True)
    assert first * BEAT_SECONDS >= LIFE_SECONDS
    assert (first - 1) * BEAT_SECONDS < LIFE_SECONDS
    assert all(judged[first:])


@pytest.mark.parametrize("life", [0.2, LIFE_SECONDS, 60])
def test_an_outage_that_makes_others_look_dead_is_noticed(life: float) -> None:
    """The last heartbeats of the others may have been a whole interval before that of this process."""
    beat = min(BEAT_SECONDS, life / 4)
    absence = Absence(lambda: life)
    now = 100.0
    while not absence.can_judge(now):
        now += beat
    assert absence.can_judge(now + beat)
    now += beat + life - beat  # now one that beat just before this process did is dead
    assert not absence.can_judge(now)
    assert not absence.can_judge(now + beat)
    back = now
    while not absence.can_judge(now):
        now += beat
    assert now - back >= life - 1e-6


@pytest.mark.parametrize(
    ("journal", "beats"), [("here", 1), ("elsewhere", 2), (None, 1)], ids=["here", "elsewhere", "none"]
)
def test_who_can_read_its_journal_sweeps_a_process_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, journal: str | None, beats: int
) -> None:
    """Anybody else would have to take what it had not started for lost."""
    (tmp_path / "here").touch()
    dead = Process("worker.dead", {} if journal is None else {"journal": str(tmp_path / journal)})

    beaten: list[str] = []
    begun: list[int] = []

    class WithADead(InMemoryChannelLayer):
        def beat(self, process: Process, leases: Sequence[Lease] = ()) -> Beat:
            beaten.append(process.name)
            return Beat(False, [dead])

    monkeypatch.setattr(Sweeper, "begin", lambda sweeper, process: begun.append(len(beaten)))
    monkeypatch.setattr(Absence, "can_judge", lambda absence, now: True)
    heartbeat = Heartbeat(WithADead(), new_process("worker"), lambda: new_process("worker"))
    for _ in range(3):
        heartbeat.confirm(heartbeat.process.name)
    assert begun == list(range(beats, 4))
