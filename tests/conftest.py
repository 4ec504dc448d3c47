"""Fixtures for all tests. Those of one subject are in the ``conftest.py`` beside its tests."""

from __future__ import annotations

import gc
import os
import re
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, settings

from channels_classic.layers import RedisChannelLayer
from tests.compiled import compile_packages, compile_tests
from tests.redis_server import RedisServer

# How long an example takes is up to the machine, and no test fails for it. In CI every run tries the same
# examples, so that a failure has its cause in the change. A failing test prints what is needed to try it again.
settings.register_profile(
    "tests",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
    print_blob=True,
)
settings.load_profile("tests")

# redis-py closes a forgotten connection when it is collected, and Python warns of the socket only if the collector
# finalizes that first. Without these methods it always warns.
for _kind in (redis.connection.AbstractConnection, redis.Redis):
    del _kind.__del__

LayerOn = Callable[..., RedisChannelLayer]

MOST_PROCESSES = 16
"""Each takes 300 MB, and twice that while it has a browser."""

TAKES_LONG = re.compile(
    r"^tests/(chaos|commands|deploy|docs|examples|js|ordering|seeds|interface_server/program)/"
    r"|/channels4/test_(beside|one)|programs\.py|killed\.py|test_(old_project|pytest_plugin|live|finder|sweep)\.py"
    r"|test_(completions|failover|fencing|overload|package)\.py"
)
"""Files with tests that start programs, or wait for seconds."""


def pytest_configure() -> None:
    """Hand on no signals that are ignored.

    A shell that starts the tests in the background makes them ignore SIGINT, and ``nohup`` makes them ignore
    SIGHUP. The programs that they start would inherit that. They do not inherit a handler.
    """
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile once, before pytest-xdist starts its processes."""
    if not hasattr(session.config, "workerinput"):  # not in these processes
        compile_packages()
        if session.config.getoption("numprocesses", None):
            compile_tests()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that take longest first, because one of them alone should not come last."""
    items.sort(key=lambda item: not TAKES_LONG.search(item.nodeid))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Let the garbage collector walk only what tests make, and not as often as Python would.

    It finds nothing among what was imported and collected. By Python's defaults, it takes a tenth of the time
    of tests that compute.
    """
    gc.disable()
    result = yield
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()
    return result


def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Let go of the values of a test's fixtures, so that the garbage collector finds those nobody closed."""
    getattr(item, "funcargs", {}).clear()


@pytest.fixture(scope="module", autouse=True)
def _nothing_left_open() -> Iterator[None]:
    """Fail in the file whose tests leave a connection or a file open, and not in whichever comes behind it.

    Python warns of such an object when it collects it, which otherwise is at any time.
    """
    yield
    gc.collect()
    gc.freeze()  # what is left belongs to the process


def pytest_xdist_auto_num_workers() -> int:
    """The number of processes of ``-n auto``: three for each core, because tests wait more than they compute."""
    return min(3 * (os.cpu_count() or 1), MOST_PROCESSES)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One Redis for all tests that leave it running; one that stops it starts a ``RedisServer`` of its own."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of that Redis, with nothing in it."""
    with redis_server.client() as client:
        client.flushall()
    return redis_server.url


@pytest.fixture
def layer_on() -> Iterator[LayerOn]:
    """Makes layers on the servers that a test names, and closes them behind it."""
    with ExitStack() as layers:

        def layer_on(hosts: Any, **config: Any) -> RedisChannelLayer:
            layer = RedisChannelLayer(hosts, **config)
            layers.callback(layer.close)
            return layer

        yield layer_on


@pytest.fixture(scope="session")
def redis_servers(redis_server: RedisServer) -> Iterator[list[str]]:
    """The URLs of three servers, the first of them that of ``redis_server``."""
    with RedisServer() as second, RedisServer() as third:
        yield [redis_server.url, second.url, third.url]
