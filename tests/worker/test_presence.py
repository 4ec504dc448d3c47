"""The presence of a worker process: in-flight messages, the journal, heartbeats, and lapses."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from channels_classic.layers import InMemoryChannelLayer, LayerUnavailable, Process, Received, RedisChannelLayer
from channels_classic.layers.takers import Taker, taker_name
from channels_classic.layers.tracking import Progress
from channels_classic.message import Message
from channels_classic.processes import journal
from channels_classic.processes.journal import read_journal
from channels_classic.routing import route
from channels_classic.sessions import enforce_ordering
from tests.worker.conftest import (
    DEADLINE,
    REPLY,
    StartWorkers,
    eventually,
    layer_with,
    receive,
)
from worker import WorkerGroup
from worker.presence import Hand


def process_of(layer: Any) -> Process:
    """The one process in the registry."""
    [process] = eventually(layer.processes)
    return process


def in_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a worker take all messages at once, and keep the waiting ones in hand."""
    monkeypatch.setattr("worker.watchdog.PATIENCE", DEADLINE)
    monkeypatch.setattr("worker.pace.Pace.limit", lambda pace: 64)


class Held:
    """A consumer that runs until the test lets it go on."""

    def __init__(self) -> None:
        self.running: list[Message] = []
        self.go_on = threading.Event()

    def __call__(self, message: Message) -> None:
        self.running.append(message)
        assert self.go_on.wait(DEADLINE)
        assert message.reply_channel is not None
        message.reply_channel.send({"text": message["text"]})


def test_it_is_in_the_registry_until_it_ends_in_order(start_workers: StartWorkers) -> None:
    layer = layer_with({"one": lambda message: None, "two": lambda message: None})
    group = start_workers(layer, 3, only_channels=["t*"])
    process = process_of(layer)
    details = process.details
    assert (details["kind"], details["threads"], details["channels"]) == ("worker", 3, ["two"])
    held = 100 + 3 * (1 + 2)  # the concurrency; and for each worker one more, and one from each channel
    takers = range(3 + held + 1)  # of the workers; for batches that are held; and for what consumers send late
    assert read_journal(process) == {taker_name(process.name, number): Progress(0, 0) for number in takers}
    group.stop()
    assert layer.processes() == []
    assert read_journal(process) is None


def test_a_group_that_never_starts_leaves_no_file_behind() -> None:
    folder = journal._own_folder()
    group = WorkerGroup(layer_with({"test": lambda message: None}))
    assert group._presence is not None
    assert not list(folder.glob(f"*{group._presence.name}*"))


def test_the_journal_says_what_was_started(start_workers: StartWorkers, monkeypatch: pytest.MonkeyPatch) -> None:
    in_one_batch(monkeypatch)
    held = Held()
    layer = layer_with({"test": lambda message: held(message) if message["text"] == "2" else None})
    for text in "01234":
        layer.send("test", {"reply_channel": REPLY, "text": text})
    start_workers(layer)
    eventually(lambda: held.running)
    process = process_of(layer)
    marks = read_journal(process)
    assert marks is not None
    assert [mark.started for mark in marks.values() if mark.batch] == [3]
    swept = layer.sweep(process, read_journal)
    # What the first two had sent has not gone out either.
    assert [lost.content["text"] for lost in swept.lost] == ["0", "1", "2"]
    assert swept.back == 2
    held.go_on.set()


def lapse(layer: Any, group: WorkerGroup) -> Process:
    """Declare the workers dead, as if they had been stopped for long. Returns their process."""
    process = process_of(layer)
    layer.sweep(process, read_journal)
    # What the heartbeat does when the process goes on.
    assert group._presence is not None
    group._presence._heartbeat.confirm(process.name)
    return process


def test_a_process_that_lapsed_goes_on_under_a_new_name(
    start_workers: StartWorkers, caplog: pytest.LogCaptureFixture
) -> None:
    """It drops what it had, so nothing is answered or run twice."""
    held = Held()
    layer = layer_with(
        {"http.request": held, "next": lambda message: message.reply_channel.send({"text": "next"})}
    )
    group = start_workers(layer)
    layer.send("http.request", {"reply_channel": REPLY, "text": "late", "path": "/"})
    eventually(lambda: held.running)
    former = lapse(layer, group)
    assert receive(layer)["status"] == 502
    held.go_on.set()
    layer.send("next", {"reply_channel": REPLY})
    assert receive(layer) == {"text": "next"}
    assert process_of(layer).name != former.name
    assert "was declared dead" in caplog.text
    assert "1 messages that consumers had sent were dropped: their process had lapsed." in caplog.text


def test_messages_that_waited_in_a_lapsed_process_run_once(
    start_workers: StartWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_one_batch(monkeypatch)
    held = Held()
    seen: list[str] = []

    def consumer(message: Message) -> None:
        seen.append(message["text"])
        if message["text"] == "1":
            held(message)

    layer = layer_with({"test": consumer})
    for text in "01234":
        layer.send("test", {"reply_channel": REPLY, "text": text})
    group = start_workers(layer)
    eventually(lambda: held.running)
    lapse(layer, group)
    held.go_on.set()
    eventually(lambda: len(seen) == 5)
    assert seen == list("01234")


def test_messages_do_not_start_while_nobody_knows_whether_the_process_has_lapsed(
    start_workers: StartWorkers,
) -> None:
    """Redis is away for longer than a process lives, with messages in hand."""

    class Away(InMemoryChannelLayer):
        life = 0.6
        beats = threading.Event()

    seen: list[str] = []
    held = Held()

    def consumer(message: Message) -> None:
        seen.append(message["text"])
        if message["text"] == "1":
            held(message)

    layer = layer_with({"test": consumer}, Away())
    group = start_workers(layer)
    hand = group.workers[0]._in_hand.hand
    eventually(lambda: hand.is_valid)
    assert group._presence is not None
    group._presence._heartbeat.valid_until = 0.0
    assert not hand.is_valid
    assert hand.start() is None
    layer.send("test", {"reply_channel": REPLY, "text": "0"})
    eventually(lambda: seen == ["0"])  # it has asked, and nothing was wrong


def test_waiting_messages_are_in_flight_until_they_have_run(
    start_workers: StartWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The heartbeat may come back at any moment between a message that must not start and the next round trip."""
    in_one_batch(monkeypatch)
    held = Held()
    layer = layer_with({"test": lambda message: held(message) if message["text"] == "1" else None})
    for text in "0123":
        layer.send("test", {"reply_channel": REPLY, "text": text})
    start, calls = Hand.start, itertools.count()
    monkeypatch.setattr(Hand, "start", lambda hand: None if next(calls) == 1 else start(hand))
    start_workers(layer)
    eventually(lambda: held.running)
    swept = layer.sweep(process_of(layer), read_journal)
    assert (swept.back, [lost.content["text"] for lost in swept.lost]) == (2, ["0", "1"])
    held.go_on.set()


@pytest.mark.parametrize("arrived", [True, False])
def test_messages_that_were_given_back_without_an_answer_run_once(
    start_workers: StartWorkers, redis_url: str, monkeypatch: pytest.MonkeyPatch, arrived: bool
) -> None:
    """The connection breaks while messages behind a slow consumer are given back."""

    class Broken(RedisChannelLayer):
        breaks = 1

        def give_back(self, batch: Sequence[Received], taker: Taker | None = None) -> None:
            if arrived or not self.breaks:
                super().give_back(batch, taker)
            if self.breaks:
                self.breaks -= 1
                held.go_on.set()
                raise LayerUnavailable("It broke.")

    monkeypatch.setattr("worker.pace.Pace.limit", lambda pace: 64)
    held = Held()
    seen: list[str] = []

    def consumer(message: Message) -> None:
        seen.append(message["text"])
        if message["text"] == "0":
            held(message)

    layer = layer_with({"test": consumer}, Broken([redis_url]))
    for text in "0123":
        layer.send("test", {"reply_channel": REPLY, "text": text})
    start_workers(layer)
    eventually(lambda: held.go_on.is_set())
    layer.send("test", {"reply_channel": REPLY, "text": "4"})
    eventually(lambda: "4" in seen)
    assert seen == list("01234")


def test_a_message_of_a_declared_channel_runs_again(start_workers: StartWorkers) -> None:
    held = Held()
    seen: list[tuple[str, int]] = []

    def thumbnail(message: Message) -> None:
        seen.append((message["text"], message.deliveries))
        if message.deliveries == 1:
            held(message)

    layer = layer_with([route("thumbnails", thumbnail, at_least_once=True)])
    start_workers(layer)
    layer.send("thumbnails", {"reply_channel": REPLY, "text": "cat"})
    eventually(lambda: held.running)
    assert process_of(layer).details["at_least_once"] == ["thumbnails"]
    swept = layer.sweep(process_of(layer), read_journal)
    assert (swept.again, swept.lost) == (1, [])
    held.go_on.set()
    eventually(lambda: seen == [("cat", 1), ("cat", 2)])


def test_turns_that_run_are_kept_and_their_leases_end_with_them(start_workers: StartWorkers) -> None:
    held = Held()
    layer = layer_with({"websocket.connect": enforce_ordering(held)})
    group = start_workers(layer, 2)
    layer.send("websocket.connect", {"reply_channel": REPLY, "order": 0, "text": "hello"})
    eventually(lambda: held.running)
    [lease] = [lease for worker in group.workers for lease in worker.leases]
    assert (lease.reply_channel, lease.order) == (REPLY, 0)
    held.go_on.set()
    assert receive(layer) == {"text": "hello"}
    eventually(lambda: not [lease for worker in group.workers for lease in worker.leases])


def test_a_layer_without_processes_does_as_before() -> None:
    class Old(InMemoryChannelLayer):
        extensions = ["groups", "flush", "statistics"]

    layer = layer_with({"test": lambda message: message.reply_channel.send({"text": message["text"]})}, Old())
    group = WorkerGroup(layer, 2, signal_handlers=False)
    group.start()
    try:
        for number in range(50):
            layer.send("test", {"reply_channel": REPLY, "text": str(number)})
        assert {receive(layer)["text"] for _ in range(50)} == {str(number) for number in range(50)}
        assert layer.processes() == []
    finally:
        group.stop()
