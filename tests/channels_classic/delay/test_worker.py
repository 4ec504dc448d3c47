"""The delay server in this process, one turn of its loop after another."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any
from unittest import mock

from django.db import OperationalError
from django.utils import timezone

from channels_classic import Channel, channel_layers
from channels_classic.delay.models import DelayedMessage, DelayedMessageQuerySet
from channels_classic.layers import LayerUnavailable
from channels_classic.test import ChannelTestCase
from tests.channels_classic.delay.test_models import store
from worker.delay import BATCH_LIMIT, Worker


class Turns(Worker):
    """Runs for a number of turns, by overriding ``termed``, as tests of old projects do."""

    left = 0

    @property
    def termed(self) -> bool:
        self.left -= 1
        return self.left < 0

    @termed.setter
    def termed(self, value: int) -> None:
        self.left = value


def run(turns: int = 1, worker: Worker | None = None) -> Worker:
    worker = worker or Turns(channel_layers["default"])
    worker.termed = turns  # type: ignore[assignment]
    worker.run()
    return worker


class TestWorker(ChannelTestCase):
    def send(self, **message: Any) -> None:
        Channel("asgi.delay").send({"channel": "later", "delay": 1000, "content": {"a": 1}, **message})

    def later(self, milliseconds: float) -> Any:
        moment = timezone.now() + timedelta(milliseconds=milliseconds)
        return mock.patch("django.utils.timezone.now", return_value=moment)

    def received(self, channel: str = "later") -> list[dict[str, Any]]:
        return [message.content for message in iter(lambda: self.get_next_message(channel), None)]

    def test_sent_when_it_is_due(self) -> None:
        self.send()
        worker = run()
        assert self.received() == []
        assert DelayedMessage.objects.count() == 1
        with self.later(1001):
            run(worker=worker)
        assert self.received() == [{"a": 1}]
        assert DelayedMessage.objects.count() == 0

    def test_one_that_another_server_has_stored(self) -> None:
        store(b=2)
        run()
        assert self.received() == [{"b": 2}]

    def test_bytes(self) -> None:
        self.send(delay=0, content={"bytes": b"\x00\xff"})
        run()
        assert self.received() == [{"bytes": b"\x00\xff"}]

    def test_the_earliest_first(self) -> None:
        for delay in (3, 1, 2):
            self.send(delay=delay, content={"delay": delay})
        worker = run()
        with self.later(10):
            run(worker=worker)
        assert self.received() == [{"delay": 1}, {"delay": 2}, {"delay": 3}]

    def test_bad_messages_are_logged_and_dropped(self) -> None:
        bad: list[tuple[dict[str, Any], str]] = [
            ({"delay": None}, "number of milliseconds"),
            ({"delay": "10"}, "number of milliseconds"),
            ({"delay": True}, "number of milliseconds"),
            ({"delay": -1}, "number of milliseconds"),
            ({"delay": float("nan")}, "number of milliseconds"),
            ({"delay": 2**62}, "number of milliseconds"),
            ({"channel": "no name"}, "channel name"),
            ({"channel": 5}, "channel name"),
            ({"channel": "x" * 100}, "channel name"),
            ({"content": "text"}, "must be a dict"),
        ]
        for message, text in bad:
            self.send(**message)
            with self.assertLogs("django.channels", "ERROR") as logs:
                run()
            assert text in logs.output[0]
        Channel("asgi.delay").send({"delay": 1})
        with self.assertLogs("django.channels", "ERROR") as logs:
            run()
        assert "lacks 'channel', 'content'" in logs.output[0]
        assert DelayedMessage.objects.count() == 0

    def test_rows_that_cannot_be_sent(self) -> None:
        DelayedMessage.objects.create(delay=0, channel_name="no name", content="{}")
        DelayedMessage.objects.create(delay=0, channel_name="later", content="no json")
        DelayedMessage.objects.create(delay=0, channel_name="later", content="[]")
        store(good=True)
        with self.assertLogs("django.channels", "ERROR") as logs:
            run()
        assert len(logs.output) == 3
        assert self.received() == [{"good": True}]
        assert DelayedMessage.objects.count() == 0

    def test_thousands_take_few_queries(self) -> None:
        due = timezone.now()
        DelayedMessage.objects.bulk_create(
            DelayedMessage(due_date=due, channel_name=f"later.{number % 50}", content="{}")
            for number in range(3000)
        )
        batches = 3000 // BATCH_LIMIT
        # Of each batch six; one more batch is found to be empty; a look before and after, and one for unsure ones.
        with self.assertNumQueries(6 * batches + 4 + 3):
            run()
        assert DelayedMessage.objects.count() == 0
        assert sum(len(self.received(f"later.{number}")) for number in range(50)) == 3000

    def test_received_messages_are_stored_at_once(self) -> None:
        for _ in range(50):
            self.send()
        with self.assertNumQueries(3):  # one insert, two looks
            run()
        assert DelayedMessage.objects.count() == 50

    def test_a_full_channel(self) -> None:
        layer = channel_layers["default"]
        for _ in range(layer.capacity - 1):
            layer.send("later", {})
        for number in range(3):
            store(number=number)
        store("other")
        with self.assertLogs("django.channels", "WARNING") as logs:
            worker = run()
        assert "'later' is full" in logs.output[0]
        assert self.received("other") == [{}]
        assert self.received()[-1] == {"number": 0}
        assert DelayedMessage.objects.count() == 2
        with self.later(1001):
            run(worker=worker)
        assert self.received() == [{"number": 1}, {"number": 2}]

    def test_an_unreachable_layer(self) -> None:
        """Messages that were certainly not sent are sent later. Those that may have been sent stay in the
        table."""
        layer = channel_layers["default"].channel_layer
        for nothing_done, expected in ((True, [{"a": 1}]), (False, [])):
            store(a=1)
            error = LayerUnavailable("gone", nothing_done)
            with mock.patch.object(layer, "send_batch", side_effect=error), self.assertLogs("django.channels"):
                worker = run()
            run(worker=worker)
            assert self.received() == expected
            assert DelayedMessage.objects.count() == 1 - len(expected)

    def begin_and_die(self) -> None:
        """Do what a server does that is killed while it sends."""
        store(a=1)
        assert len(DelayedMessage.objects.begin_sending(10)) == 1

    def test_messages_of_a_killed_server_are_logged_once(self) -> None:
        self.begin_and_die()
        worker = run()  # another one may be sending it still
        with self.later(61_000), self.assertLogs("django.channels", "ERROR") as logs:
            worker._unsure_at = 0
            run(worker=worker)
            worker._unsure_at = 0
            run(worker=worker)
        assert len(logs.output) == 1
        assert "1 delayed messages may have been sent, or may not" in logs.output[0]
        assert self.received() == []
        assert DelayedMessage.objects.count() == 1

    def test_messages_of_a_killed_server_are_sent_again_on_demand(self) -> None:
        self.begin_and_die()
        worker = Turns(channel_layers["default"], resend=True)
        run(worker=worker)
        assert self.received() == []
        with self.later(61_000), self.assertLogs("django.channels", "WARNING") as logs:
            worker._unsure_at = 0
            run(turns=2, worker=worker)
        assert "1 delayed messages are sent again" in logs.output[0]
        assert self.received() == [{"a": 1}]
        assert DelayedMessage.objects.count() == 0

    def test_a_database_that_goes_away_behind_the_sending(self) -> None:
        """Sent messages are not sent again, and are deleted when the database is back."""
        store(a=1)
        away = mock.patch.object(DelayedMessageQuerySet, "delete", side_effect=OperationalError)
        worker = Turns(channel_layers["default"])
        with away, self.assertLogs("django.channels", "ERROR"), mock.patch.object(worker, "_finish"):
            run(worker=worker)
        assert DelayedMessage.objects.count() == 1
        with self.assertLogs("django.channels", "WARNING"):
            run(worker=worker)
        assert self.received() == [{"a": 1}]
        assert DelayedMessage.objects.count() == 0

    def test_an_unreachable_database(self) -> None:
        """Received messages are stored when the database is back."""
        self.send(delay=0)
        away = mock.patch.object(DelayedMessageQuerySet, "bulk_create", side_effect=OperationalError)
        worker = Turns(channel_layers["default"])
        with away, self.assertLogs("django.channels", "ERROR") as logs, mock.patch.object(worker, "_finish"):
            run(worker=worker)
        assert "cannot work; trying again. OperationalError" in logs.output[0]
        with self.assertLogs("django.channels", "WARNING"):
            run(worker=worker)
        assert self.received() == [{"a": 1}]

    def test_idle(self) -> None:
        """The server reads the database now and then, and not with every message."""
        worker = Turns(channel_layers["default"], database_sleep_duration=600)
        with self.assertNumQueries(2):  # for what is due, and once a minute for what may have been sent
            run(worker=worker)
        store("other", delay=60_000)
        worker._look_at = 0
        with self.assertNumQueries(1):
            run(worker=worker)
        self.send()
        with self.assertNumQueries(1):  # the insert
            run(worker=worker)

    def test_termed(self) -> None:
        worker = Worker(channel_layers["default"], signal_handlers=False)
        assert worker.termed is False
        thread = threading.Thread(target=worker.run)
        with mock.patch.object(worker, "_send_due"):  # the test's database is not the thread's
            thread.start()
            worker.termed = True
            thread.join(60)
        assert not thread.is_alive()
        assert worker.termed is True
