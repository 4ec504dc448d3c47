"""A real interface server and real workers, for tests with a browser (specification, section 11)."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import TestResult

from django.apps import apps
from django.db import connections
from django.test import LiveServerTestCase, modify_settings
from django.utils.functional import classproperty

from channels_classic import DEFAULT_CHANNEL_LAYER
from channels_classic.asgi import channel_layers
from channels_classic.handler import ViewConsumer
from channels_classic.log import logger
from channels_classic.signals import worker_ready
from channels_classic.staticfiles import StaticFilesConsumer
from channels_classic.test.layers import in_memory_layers
from channels_classic.test.routes import routing_replaced
from interface_server import InterfaceServer
from interface_server.program.serving import make_server
from interface_server.transport.server import CutOff, Server, ServerSettings
from worker import WorkerGroup
from worker.options import CONCURRENCY

SHUTDOWN_SECONDS = 5
"""Seconds that the end of the tests of a class waits for what clients have left open, and the end of each test for
consumers that run."""


class LiveServerThread(threading.Thread):
    """An interface server on its own port, and workers, on the default layer, in the form that Django expects.

    They are threads, so that they share the settings, the layers in memory and the database of the test, which may
    be in memory, too.

    Arguments:
        host: the name or address to listen on.
        static_handler: Django's handler, which is not used.
        connections_override: database connections that the workers share with the test, by alias.
        port: the port; 0 for a free one.
        worker_threads: how many consumers may run at the same time.
        serve_static: whether to serve static files, if the app ``staticfiles`` is installed.
    """

    def __init__(
        self,
        host: str,
        static_handler: Any = None,
        connections_override: Mapping[str, Any] | None = None,
        port: int = 0,
        worker_threads: int = 4,
        serve_static: bool = True,
    ) -> None:
        super().__init__(name="live-server", daemon=True)
        self.host = host
        self.port = port
        self.connections_override = dict(connections_override or {})
        # Threads that share a connection share its transaction, so only one consumer may run at a time.
        self.worker_threads = 1 if self.connections_override else worker_threads
        self.serve_static = serve_static
        self.is_ready = threading.Event()
        self.error: Exception | None = None
        self._server: Server | None = None
        self._group: WorkerGroup | None = None

    def run(self) -> None:
        """Serve until ``terminate`` is called."""
        try:
            with socket.create_server((self.host, self.port)) as listening, self._workers():
                self.port = listening.getsockname()[1]
                application = InterfaceServer(channel_layers[DEFAULT_CHANNEL_LAYER].channel_layer)
                self._server = make_server(application, ServerSettings(shutdown_timeout=SHUTDOWN_SECONDS))
                self.is_ready.set()  # the port listens: a client that connects now will be served
                try:
                    self._server.run([listening])
                except CutOff as error:  # a test may leave something open
                    logger.debug("%s", error)
        except Exception as error:
            self.error = error
            self.is_ready.set()

    def terminate(self) -> None:
        """End the server, then the workers, and wait for that.

        Raises:
            Exception: the error that it died of after it was ready.
        """
        if self._server is None:  # it never started, and the caller of start() has seen why
            return
        self._server.stop()
        self.join()
        if self.error is not None:
            raise self.error

    def settle(self) -> None:
        """Wait until no consumer runs, but no longer than ``SHUTDOWN_SECONDS``."""
        ends = time.monotonic() + SHUTDOWN_SECONDS
        while self._group is not None and self._group.running_consumers() and time.monotonic() < ends:
            time.sleep(0.01)

    @contextmanager
    def _workers(self) -> Iterator[None]:
        layer = channel_layers[DEFAULT_CHANNEL_LAYER]
        static = self.serve_static and apps.is_installed("django.contrib.staticfiles")
        layer.router.check_default(StaticFilesConsumer() if static else ViewConsumer())
        concurrency = 1 if self.connections_override else CONCURRENCY
        self._group = group = WorkerGroup(
            layer, self.worker_threads, signal_handlers=False, concurrency=concurrency
        )

        def share_connections(sender: Any, **kwargs: Any) -> None:
            if sender in group.workers:
                for alias, connection in self.connections_override.items():
                    connections[alias] = connection

        def wake_workers(sender: Any, **kwargs: Any) -> None:
            if kwargs["layer"] is layer:
                for worker in group.workers:
                    worker.wake()

        worker_ready.connect(share_connections)
        routing_replaced.connect(wake_workers)
        group.start()
        try:
            yield
        finally:
            group.stop()
            routing_replaced.disconnect(wake_workers)
            worker_ready.disconnect(share_connections)


class ChannelLiveServerTestCase(LiveServerTestCase):
    """Django's ``LiveServerTestCase`` with WebSockets, channels and consumers (specification, section 11).

    The server and the workers run in threads for all tests of the class, on layers in memory. As with Django's own
    class, each test ends with an empty database, and no test runs in a transaction.
    """

    worker_threads = 4
    """How many consumers may run at the same time. With an SQLite database in memory it is always one, because all
    threads share its only connection."""

    serve_static = True
    """Whether to serve static files, without ``collectstatic``."""

    server_thread_class = LiveServerThread

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in ("ProtocolServerProcess", "WorkerProcess"):
            if name in vars(cls):
                raise TypeError(
                    f"{cls.__name__}.{name} would have no effect, because server and workers run in threads. "
                    "Remove it. You can set worker_threads and serve_static."
                )

    @classproperty
    def live_server_ws_url(cls) -> str:  # noqa: N805
        """The URL for WebSockets, such as ``ws://localhost:12345``."""
        return f"ws://{cls.host}:{cls.server_thread.port}"

    @classmethod
    def _create_server_thread(cls, connections_override: Mapping[str, Any]) -> LiveServerThread:
        cls.enterClassContext(in_memory_layers())
        return LiveServerThread(
            cls.host,
            connections_override=connections_override,
            port=cls.port,
            worker_threads=cls.worker_threads,
            serve_static=cls.serve_static,
        )

    def run(self, result: TestResult | None = None) -> TestResult | None:
        """Run the test, and wait until no consumer runs, because Django empties the database behind this."""
        try:
            return super().run(result)
        finally:
            self.server_thread.settle()


class LiveServer:
    """The value of the fixture ``channel_live_server``, with ``url``, and ``ws_url`` for WebSockets."""

    def __init__(self, host: str, port: int) -> None:
        self.url = f"http://{host}:{port}"
        self.ws_url = f"ws://{host}:{port}"


@contextmanager
def live_server(host: str = "localhost", worker_threads: int = 4) -> Iterator[LiveServer]:
    """Run a server for tests that are not methods of a ``ChannelLiveServerTestCase``, on the present layers.

    Raises:
        OSError: it cannot listen on ``host``.
    """
    shared = {
        connection.alias: connection
        for connection in connections.all()
        if connection.vendor == "sqlite" and connection.is_in_memory_db()  # type: ignore[attr-defined]
    }
    for connection in shared.values():
        connection.inc_thread_sharing()
    thread = LiveServerThread(host, connections_override=shared, worker_threads=worker_threads)
    try:
        with modify_settings(ALLOWED_HOSTS={"append": host}):
            thread.start()
            thread.is_ready.wait()
            if thread.error is not None:
                raise thread.error
            yield LiveServer(host, thread.port)
            thread.terminate()
    finally:
        for connection in shared.values():
            connection.dec_thread_sharing()
