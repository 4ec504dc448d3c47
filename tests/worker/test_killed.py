"""Workers that are killed or stopped at any moment, counted message by message."""

from __future__ import annotations

import os
import random
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from channels_classic.layers import Delivery, RedisChannelLayer
from tests.programs import children_of, running
from tests.project import DEADLINE, FOR_PROGRAMS, Running
from tests.redis_server import RedisServer

SETTINGS = """\
SECRET_KEY = "for tests"
INSTALLED_APPS = ["channels_classic"]
CHANNEL_SESSION_ENGINE = "channels_classic.session_engine"
CHANNEL_LAYERS = {{
    "default": {{
        "BACKEND": "channels_classic.layers.RedisChannelLayer",
        "ROUTING": "mysite.routing.routing",
        "CONFIG": {{"hosts": ["{url}"], "capacity": 10000}},
    }}
}}
"""

ROUTING = """\
from channels_classic.routing import route

routing = [
    route("numbers", "mysite.consumers.number"),
    route("sure", "mysite.consumers.sure", at_least_once=True),
    route("leaks", "mysite.consumers.leak"),
    route("poison", "mysite.consumers.poison", at_least_once=True),
    route("http.request", "mysite.consumers.number"),
    route("websocket.receive", "mysite.consumers.remember"),
    route("websocket.disconnect", "mysite.consumers.leave"),
]
"""

CONSUMERS = """\
import os
import signal
import time
from channels_classic import Channel
from channels_classic.sessions import channel_session

def number(message):
    time.sleep(message["seconds"])
    Channel("answers").send({"number": message["number"], "deliveries": message.deliveries, "pid": os.getpid()})

LEAKED = []

def sure(message):
    Channel("begun").send({}, immediately=True)
    number(message)

def leak(message):
    LEAKED.append(b"x" * 2**20)
    number(message)

@channel_session
def remember(message):
    message.channel_session["seen"] = True

@channel_session
def leave(message):
    Channel("left").send({}, immediately=True)
    os.kill(os.getpid(), signal.SIGKILL)

def poison(message):
    os.kill(os.getpid(), signal.SIGKILL)
"""


CLOCK = """\
import os
import time

real, ahead = time.time, float(os.environ.get("CLOCK_AHEAD", "0"))
time.time = lambda: real() + ahead
"""
"""Python runs it at the start of each program."""


@pytest.fixture
def folder(tmp_path: Path, redis_url: str) -> Path:
    (tmp_path / "mysite").mkdir()
    (tmp_path / "mysite" / "__init__.py").touch()
    (tmp_path / "mysite" / "settings.py").write_text(SETTINGS.format(url=redis_url))
    (tmp_path / "mysite" / "routing.py").write_text(ROUTING)
    (tmp_path / "mysite" / "consumers.py").write_text(CONSUMERS)
    (tmp_path / "sitecustomize.py").write_text(CLOCK)
    return tmp_path


@pytest.fixture
def layer(redis_url: str) -> Iterator[RedisChannelLayer]:
    layer = RedisChannelLayer(hosts=[redis_url], capacity=10000)
    yield layer
    layer.close()


@pytest.fixture
def workers(folder: Path) -> Iterator[Any]:
    """Starts programs with workers. ``CLOCK_AHEAD`` is the seconds that the clock of one is ahead."""
    path = os.pathsep.join([str(folder), FOR_PROGRAMS["PYTHONPATH"]])
    with ExitStack() as stack:

        def start(*options: str, log: str = "log.txt", **variables: str) -> Running:
            command = [sys.executable, "-m", "worker", "--settings", "mysite.settings", *options]
            program = stack.enter_context(running(command, folder, log, {"PYTHONPATH": path, **variables}))
            program.wait("channels: ")
            return program

        yield start


class Numbers:
    """Messages that are sent, and the answers to them."""

    def __init__(self, layer: RedisChannelLayer) -> None:
        self.layer = layer
        self.sent = 0
        self.answers: list[dict[str, Any]] = []

    def send(self, count: int, channel: str = "numbers", seconds: float = 0.0005, **more: Any) -> None:
        deliveries: list[Delivery] = []
        for _ in range(count):
            content = {"number": self.sent, "seconds": seconds, **more}
            deliveries.append(self.layer.prepare(channel, content))
            self.sent += 1
        assert self.layer.send_batch(deliveries) == []

    def receive(self, timeout: float = 0.0) -> int:
        """Take the answers that are there, or wait for one. Returns how many have come by now."""
        batch = self.layer.receive_batch(["answers"], 1000, timeout)
        self.answers += [received.content for received in batch]
        return len(self.answers)

    def wait(self, count: int) -> None:
        """Wait for so many answers."""
        deadline = time.monotonic() + DEADLINE
        while self.receive(0.2) < count:
            assert time.monotonic() < deadline, f"{len(self.answers)} of {count} answers"

    @property
    def counts(self) -> Counter[int]:
        return Counter(answer["number"] for answer in self.answers)


def lost(program: Running, consumer: str = "mysite.consumers.number") -> int:
    """The number of messages that were lost while they ran, by the log."""
    return sum(line.count(f"({consumer})") for line in program.log.splitlines() if "lost while they ran" in line)


def living(program: Running, layer: RedisChannelLayer) -> list[int]:
    """The worker processes under a supervisor that have begun to receive."""
    known = {process.details["pid"] for process in layer.processes()}
    return [pid for pid in children_of(program.process.pid) if pid in known]


@pytest.mark.parametrize("seed", range(2))
def test_a_kill_loses_only_running_messages(layer: RedisChannelLayer, workers: Any, seed: int) -> None:
    """Each message is answered once, or the log names it as lost while it ran."""
    moments = random.Random(seed)
    program = workers("--processes", "2", "--threads", "2")
    program.wait(lambda: len(living(program, layer)) == 2)
    numbers = Numbers(layer)
    for kill in range(3):
        numbers.send(300)
        program.wait(lambda: numbers.receive() > numbers.sent - 300 + moments.randrange(200))
        os.kill(moments.choice(living(program, layer)), signal.SIGKILL)
        program.wait(lambda: program.log.count("has died: ") == kill + 1)  # noqa: B023
        program.wait(lambda: len(living(program, layer)) == 2)
    numbers.wait(numbers.sent - lost(program))
    assert set(numbers.counts.values()) == {1}
    assert len(numbers.counts) == numbers.sent - lost(program)
    assert lost(program) <= 3 * 2 * 64
    assert layer.channel_statistics("numbers")["messages_pending"] == 0


def test_without_a_supervisor_other_processes_notice(layer: RedisChannelLayer, workers: Any) -> None:
    """Messages that were not started run elsewhere, and a client whose request ran gets 502.

    The clocks of the two machines disagree by ten minutes.
    """
    first = workers("--threads", "1", CLOCK_AHEAD="300")
    [pid] = re.findall(r"Worker (\d+), ", first.log)
    numbers = Numbers(layer)
    numbers.send(1, "http.request", 3600, reply_channel="interface.test!client", path="/slow/")
    first.wait(lambda: layer.channel_statistics("http.request")["messages_pending"] == 0)
    second = workers("--threads", "1", log="second.txt", CLOCK_AHEAD="-300")
    os.kill(int(pid), signal.SIGKILL)
    killed = time.monotonic()
    [refusal] = layer.receive_batch(["interface.test!"], 1, DEADLINE)
    assert refusal.content["status"] == 502
    assert time.monotonic() - killed < DEADLINE / 2
    second.wait("lost while they ran: http.request /slow/ (mysite.consumers.number)")


def test_a_process_that_was_stopped_for_long_does_nothing_twice(layer: RedisChannelLayer, workers: Any) -> None:
    """It finds that others have taken over, drops what it had, and goes on under a new name.

    The clocks of the two machines disagree by ten minutes.
    """
    first = workers("--threads", "2", CLOCK_AHEAD="300")
    second = workers("--threads", "2", log="second.txt", CLOCK_AHEAD="-300")
    numbers = Numbers(layer)
    numbers.send(2000, seconds=0.001)
    numbers.wait(200)
    first.process.send_signal(signal.SIGSTOP)
    second.wait("has died: ")
    numbers.wait(1000)
    first.process.send_signal(signal.SIGCONT)
    first.wait("was declared dead, because its heartbeat had stopped for too long.")
    numbers.wait(numbers.sent - lost(second))
    time.sleep(0.2)
    numbers.receive()
    assert set(numbers.counts.values()) == {1}
    assert len(numbers.counts) == numbers.sent - lost(second)
    # And it works again.
    second.process.send_signal(signal.SIGTERM)
    assert second.process.wait(DEADLINE) == 0
    numbers.send(1)
    numbers.wait(numbers.sent - lost(second))


def test_the_session_of_a_socket_goes_though_its_disconnect_is_lost(
    layer: RedisChannelLayer, workers: Any, redis_server: RedisServer
) -> None:
    """The consumer of the disconnect does not run again. Nothing of the socket stays."""
    program = workers("--processes", "2")
    program.wait(lambda: len(living(program, layer)) == 2)
    with redis_server.client() as client:
        layer.send("websocket.receive", {"reply_channel": "interface.test!client", "order": 1})
        program.wait(lambda: client.keys("asgi:value:session:*"))
        layer.send("websocket.disconnect", {"reply_channel": "interface.test!client", "order": 2})
        program.wait("lost while they ran: websocket.disconnect")
        program.wait(lambda: not client.keys("asgi:value:session:*"))
        assert len(layer.receive_batch(["left"], 10)) == 1
        program.wait(lambda: not client.keys("asgi:queue:*"))


def test_processes_that_leak_are_replaced_under_load(layer: RedisChannelLayer, workers: Any) -> None:
    """Each message is answered once, and the memory of the processes stays bounded."""
    program = workers("--processes", "2", "--threads", "2", "--max-memory", "128M")
    program.wait(lambda: len(living(program, layer)) == 2)
    numbers = Numbers(layer)
    while len({answer["pid"] for answer in numbers.answers}) < 4:  # so two have taken the place of others
        numbers.send(50, "leaks", 0.01)
        numbers.wait(numbers.sent - 25)
    numbers.wait(numbers.sent)
    assert program.log.count("is to be replaced: it takes") >= 2
    assert numbers.counts == dict.fromkeys(range(numbers.sent), 1)


def test_a_declared_message_runs_again(layer: RedisChannelLayer, workers: Any) -> None:
    program = workers("--processes", "2")
    program.wait(lambda: len(living(program, layer)) == 2)
    numbers = Numbers(layer)
    numbers.send(1, "sure", 2)
    program.wait(lambda: layer.receive(["begun"])[0])
    numbers.send(20)
    for pid in living(program, layer):
        os.kill(pid, signal.SIGKILL)
    program.wait("1 messages to be run again")
    numbers.wait(1)
    program.wait(lambda: numbers.receive(0.1) >= 21 - lost(program))
    [again] = [answer for answer in numbers.answers if answer["number"] == 0]
    assert again["deliveries"] == 2


def test_a_poison_message_becomes_a_dead_letter_and_takes_nobody_along(
    layer: RedisChannelLayer, workers: Any
) -> None:
    program = workers("--processes", "2")
    program.wait(lambda: len(living(program, layer)) == 2)
    numbers = Numbers(layer)
    numbers.send(50, "sure")
    numbers.send(1, "poison")
    numbers.send(50, "sure")
    program.wait(lambda: layer.dead_letters())
    [letter] = layer.dead_letters()
    assert (letter.channel, letter.content["number"], letter.deliveries) == ("poison", 50, 3)
    numbers.wait(100)
    assert set(numbers.counts) == set(range(101)) - {50}


def test_a_prefix_that_two_projects_share(layer: RedisChannelLayer, workers: Any, folder: Path) -> None:
    """Nothing fails, but each takes messages of the other. The log of the one that starts later says so."""
    with (folder / "mysite" / "settings.py").open("a") as settings:
        settings.write('import os\nROOT_URLCONF = os.environ["URLS"]\n')
    workers(URLS="mysite.urls")
    same = workers(log="same.txt", URLS="mysite.urls")
    other = workers(log="other.txt", URLS="othersite.urls")
    other.wait("Workers of another project (ROOT_URLCONF 'mysite.urls', process ")
    numbers = Numbers(layer)
    numbers.send(50)
    numbers.wait(50)
    assert "ROOT_URLCONF 'mysite.urls'" not in same.log
    assert other.log.count("receive on the same channels of the same layer: http.request, ") == 1
