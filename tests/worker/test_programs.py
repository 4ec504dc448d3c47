"""``channels-worker`` and ``python -m worker``: workers without ``manage.py``."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from channels_classic.layers import RedisChannelLayer
from tests.programs import completed, running
from tests.project import DEADLINE, Running
from worker.cli import main

WAIT = 60.0  # seconds for an answer

MODULE = [sys.executable, "-m", "worker"]
SCRIPT = [Path(sys.executable).with_name("channels-worker")]

SETTINGS = """\
SECRET_KEY = "for tests"
INSTALLED_APPS = ["channels_classic"]
LAYER = {{"BACKEND": "channels_classic.layers.RedisChannelLayer", "ROUTING": {{"questions": "mysite.answer"}}}}
CHANNEL_LAYERS = {{
    "default": {{**LAYER, "CONFIG": {{"hosts": ["{url}"]}}}},
    "memory": {{**LAYER, "BACKEND": "channels_classic.layers.InMemoryChannelLayer"}},
}}
"""

CONSUMERS = """\
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

def answer(message):
    if message["question"] == "closed":
        sys.stdout.close()
        message["question"] = "forever"
    if message["question"] == "forever":
        from channels_classic.log import logger
        logger.warning("It runs in %d", os.getpid())
        # As a library of a project might: such a pool would keep the interpreter from ending.
        ThreadPoolExecutor(1).submit(threading.Event().wait).result()
    from channels_classic import Channel
    Channel("answers").send({"to": message["question"], "pid": os.getpid()})
"""


@pytest.fixture
def folder(tmp_path: Path, redis_url: str) -> Path:
    """A minimal project for a worker."""
    (tmp_path / "mysite").mkdir()
    (tmp_path / "mysite" / "__init__.py").write_text(CONSUMERS)
    (tmp_path / "mysite" / "settings.py").write_text(SETTINGS.format(url=redis_url))
    return tmp_path


@pytest.fixture
def layer(redis_url: str) -> Iterator[RedisChannelLayer]:
    with closing(RedisChannelLayer(hosts=[redis_url])) as layer:
        yield layer


def ask(layer: RedisChannelLayer, question: int) -> int:
    """Let a worker answer. Returns its process id."""
    layer.send("questions", {"question": question})
    (received,) = layer.receive_batch(["answers"], 1, WAIT)
    assert received.content["to"] == question
    return int(received.content["pid"])


@contextmanager
def started(command: list[object], folder: Path, processes: int = 1, **variables: str) -> Iterator[Running]:
    with running(command, folder, variables=variables) as program:
        program.wait(lambda: program.log.count("channels: ") >= processes)
        yield program


def refusal(folder: Path, *options: str) -> tuple[int, str]:
    done = completed([*MODULE, *options], folder)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


@pytest.mark.parametrize("command", [MODULE, SCRIPT], ids=["python -m worker", "channels-worker"])
def test_it_runs_the_consumers_of_a_project(command: list[object], folder: Path, layer: RedisChannelLayer) -> None:
    options = ["--settings", "mysite.settings", "--only-channels", "quest*"]
    with started([*command, *options], folder) as program:
        assert ask(layer, 1) == program.process.pid
        assert "1 thread(s), layer 'default', channels: questions\n" in program.log
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(DEADLINE) == 0


MISSES_SIGNALS = """
import signal, threading
from worker.cli import main

threading.Thread(target=threading.Event().wait, daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
main()
"""
"""The system gives the signals to another thread, so that they do not interrupt what the main thread waits for.

A signal that comes just before the main thread begins to wait does not interrupt it either.
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_does_not_interrupt_the_main_thread(
    folder: Path, layer: RedisChannelLayer, number: signal.Signals
) -> None:
    (folder / "manage.py").write_text(MISSES_SIGNALS)
    with started([sys.executable, "manage.py", "--settings", "mysite.settings"], folder) as program:
        ask(layer, 1)
        program.process.send_signal(number)
        assert program.process.wait(DEADLINE) == 0
        assert "has stopped." in program.log


def test_options_by_the_environment(
    folder: Path, layer: RedisChannelLayer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    variables = {
        "DJANGO_SETTINGS_MODULE": "mysite.settings",
        "CHANNELS_WORKER_PYTHONPATH": str(folder),
        "CHANNELS_WORKER_THREADS": "2",
        "CHANNELS_WORKER_PROCESSES": "2",
        "CHANNELS_WORKER_EXCLUDE_CHANNELS": "http.* websocket.*",
        "CHANNELS_WORKER_VERBOSE": "1",
    }
    with started(SCRIPT, tmp_path_factory.mktemp("elsewhere"), processes=2, **variables) as program:
        former = ask(layer, 1)
        assert former != program.process.pid
        assert program.log.count("2 thread(s), layer 'default', channels: questions\n") == 2
        program.wait("DEBUG    questions")

        program.process.send_signal(signal.SIGHUP)
        program.wait("The worker processes are renewed.")
        program.wait(lambda: program.log.count("has stopped.") == 2)
        assert ask(layer, 2) != former
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(DEADLINE) == 0


def test_invalid_options_are_one_line(folder: Path) -> None:
    code, text = refusal(folder)
    assert code == 2
    assert "Missing option '--settings'" in text
    code, text = refusal(folder, "--settings", "mysite.gone")
    assert code == 1
    assert text == "Error: Cannot import the settings 'mysite.gone': No module named 'mysite.gone'.\n"
    code, text = refusal(folder, "--settings", "mysite.settings", "--layer", "memory")
    assert code == 1
    assert text.startswith(
        "Error: CHANNEL_LAYERS['memory'] is InMemoryChannelLayer, which works inside one process"
    )
    code, text = refusal(folder, "--settings", "mysite.settings", "--layer", "other")
    assert (code, text) == (1, "Error: CHANNEL_LAYERS has no 'other'; it has: 'default', 'memory'.\n")
    code, text = refusal(folder, "--settings", "mysite.settings", "--threads", "many")
    assert code == 2
    assert "Error: --threads must be a whole number, not 'many'.\n" in text


def run_for_ever(layer: RedisChannelLayer, program: Running, question: str = "forever") -> None:
    layer.send("questions", {"question": question})
    program.wait("It runs in")


LEFT = "without waiting any longer for: questions (mysite.answer), for "


# Each value with each other one, but not all three of them.
@pytest.mark.parametrize(
    ("processes", "signals", "number"),
    [("1", 2, signal.SIGTERM), ("1", 5, signal.SIGINT), ("2", 2, signal.SIGINT), ("2", 5, signal.SIGTERM)],
)
def test_a_second_signal_ends_it_whatever_runs(
    folder: Path, layer: RedisChannelLayer, processes: str, signals: int, number: signal.Signals
) -> None:
    options = ["--settings", "mysite.settings", "--threads", "2", "--processes", processes]
    with started([*MODULE, *options], folder, int(processes)) as program:
        run_for_ever(layer, program)
        for _ in range(signals):
            program.process.send_signal(number)
            time.sleep(0.2)  # or the system takes several of them for one
        assert program.process.wait(DEADLINE) == 1
        assert program.log.count(LEFT) == 1
        assert "Traceback" not in program.log


@pytest.mark.parametrize(("processes", "question"), [("1", "closed"), ("2", "forever")])
def test_the_stop_timeout_ends_it_whatever_runs(
    folder: Path, layer: RedisChannelLayer, processes: str, question: str
) -> None:
    """Also if the consumer has closed the standard output, which is flushed before the end."""
    options = ["--settings", "mysite.settings", "--processes", processes, "--stop-timeout", "0.5"]
    with started([*MODULE, *options], folder, int(processes)) as program:
        run_for_ever(layer, program, question)
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(DEADLINE) == 1
        assert program.log.count(LEFT) == 1
        assert "Traceback" not in program.log


IMPATIENT = """
from channels_classic.processes import child
from worker.cli import main

if __name__ == "__main__":
    child.GRACE = 1
    main()
"""
"""A supervisor that gives its processes a fifth of the time."""


def test_a_worker_that_hangs_altogether_is_killed(folder: Path, layer: RedisChannelLayer) -> None:
    """It was stopped by SIGSTOP, so it cannot even be told to hurry."""
    (folder / "manage.py").write_text(IMPATIENT)
    options = ["--settings", "mysite.settings", "--processes", "2", "--stop-timeout", "0.5"]
    with started([sys.executable, "manage.py", *options], folder, 2) as program:
        os.kill(hanging := ask(layer, 1), signal.SIGSTOP)
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(DEADLINE) == 1
        assert f"One worker process ({hanging}) does not end: it is killed." in program.log


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_thread_that_dies_ends_its_process(folder: Path, layer: RedisChannelLayer, processes: str) -> None:
    """A bug may raise anything: a single process ends with status 1, and one of several is replaced."""
    (folder / "mysite" / "layer.py").write_text(
        "from channels_classic.layers import RedisChannelLayer\n"
        "class Layer(RedisChannelLayer):\n"
        "    def receive_batch(self, *args):\n"
        "        raise KeyError('a bug')\n"
        "    send_and_receive = receive_batch\n"
    )
    settings = folder / "mysite" / "settings.py"
    settings.write_text(settings.read_text() + 'CHANNEL_LAYERS["default"]["BACKEND"] = "mysite.layer.Layer"\n')
    options = ["--settings", "mysite.settings", "--threads", "3", "--processes", processes]
    with running([*MODULE, *options], folder) as program:
        if processes == "1":
            assert program.process.wait(DEADLINE) == 1
        else:
            program.wait("One worker process ended with status 1; another starts")
            settings.write_text(settings.read_text().replace("mysite.layer.Layer", REDIS))
            answering: set[int] = set()
            # Until both are repaired, one may still be about to die of the bug, and the exit status would tell.
            program.wait(lambda: len(answering) == 2 or answering.update(asked(layer)))
            program.process.send_signal(signal.SIGTERM)
            assert program.process.wait(DEADLINE) == 0
        assert "because one of its threads died: 'a bug'" in program.log


REDIS = "channels_classic.layers.RedisChannelLayer"


def asked(layer: RedisChannelLayer) -> set[int]:
    """The process id of a worker that answers within a second, if there is one."""
    layer.send("questions", {"question": 7})
    return {received.content["pid"] for received in layer.receive_batch(["answers"], 1, 1)}


def pids_of(layer: RedisChannelLayer, messages: int) -> list[int]:
    return [ask(layer, number) for number in range(messages)]


def test_a_process_is_replaced_after_so_many_messages_and_nobody_waits(
    folder: Path, layer: RedisChannelLayer
) -> None:
    options = ["--settings", "mysite.settings", "--max-messages", "50"]
    with started([*MODULE, *options], folder) as program:
        pids: list[int] = []

        def replaced_twice() -> bool:
            pids.extend(pids_of(layer, 20))
            return len(set(pids)) >= 3

        program.wait(replaced_twice)
        assert program.process.pid not in pids
        assert program.log.count("is to be replaced: it has handled ") >= 2
        program.wait(lambda: program.log.count("One worker process has been replaced.") >= 2)
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(DEADLINE) == 0
        assert "ERROR" not in program.log


def test_a_process_is_replaced_when_it_takes_too_much_memory(folder: Path, layer: RedisChannelLayer) -> None:
    code = "LEAK = []\n" + CONSUMERS.replace(
        "    from channels_classic import Channel\n",
        "    from channels_classic import Channel\n    LEAK.append(bytearray(b'x') * 100_000_000)\n",
    )
    (folder / "mysite" / "__init__.py").write_text(code)
    variables = {"DJANGO_SETTINGS_MODULE": "mysite.settings", "CHANNELS_WORKER_MAX_MEMORY": "200M"}
    with started(MODULE, folder, **variables) as program:
        first = ask(layer, 1)
        program.wait(lambda: ask(layer, 2) != first)
        assert "M of memory" in program.log


def test_a_consumer_that_takes_too_long_costs_its_process(folder: Path, layer: RedisChannelLayer) -> None:
    options = ["--consumer-timeout", "0.3", "--consumer-timeout-retire", "--stop-timeout", "1", "--threads", "2"]
    with started([*MODULE, "--settings", "mysite.settings", *options], folder) as program:
        former = ask(layer, 1)
        run_for_ever(layer, program)
        program.wait("A consumer runs longer than 0.3 s: questions (mysite.answer), for ")
        program.wait(" s. This is where it is:")
        assert "ThreadPoolExecutor(1).submit(threading.Event().wait).result()" in program.log
        program.wait("One worker process has been replaced.")
        program.wait(lambda: program.log.count(LEFT) == 1)
        assert ask(layer, 2) != former
        assert program.log.count("A consumer runs longer than") == 1


def test_every_option_has_its_help(tmp_path: Path) -> None:
    text = completed([*SCRIPT, "--help"], tmp_path).stdout
    for parameter in main.params:
        assert parameter.help, parameter.name
        assert max(parameter.opts, key=len) in text
