"""Runs workers for both commands: in this process, or in several under a supervisor."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from channels_classic.log import logger
from channels_classic.monitoring.programs import monitored, monitored_child, monitored_children
from channels_classic.monitoring.server import BadMonitor
from channels_classic.processes.child import Supervised
from channels_classic.redaction import one_line
from channels_classic.tracing import NoTracing, check_tracing
from worker.options import Options

if TYPE_CHECKING:
    from channels_classic.layers import BaseChannelLayer, Process
    from channels_classic.monitoring.monitor import Monitor
    from channels_classic.routing import Router
    from worker.group import WorkerGroup
    from worker.tracing import ConsumerTracing


class CannotRun(Exception):
    """The settings do not fit the options of the command. The text says what to change."""


def run(options: Options) -> None:
    """Run workers until SIGTERM or SIGINT. Django has to be set up already.

    Raises:
        CannotRun: the workers could never do anything.
        SystemExit: workers died, or did not end properly.
    """
    check(options)
    if options.processes == 1 and not options.retires:
        try:
            with monitored(options.monitor, _layer(options.layer)) as monitor:
                run_here(options, monitor=monitor)
        except BadMonitor as error:
            raise CannotRun(str(error)) from error
        return
    from channels_classic.processes.supervisor import Supervisor

    try:
        with monitored_children(options.monitor, options.processes) as folder:
            supervisor = Supervisor(
                run_child,
                (options, folder),
                options.processes,
                "worker",
                options.stop_timeout,
                died=_sweep_by(options.layer),
            )
            status = supervisor.run()
    except BadMonitor as error:
        raise CannotRun(str(error)) from error
    if status:
        sys.exit(status)


def _layer(alias: str) -> BaseChannelLayer:
    from channels_classic.asgi import channel_layers

    layer: BaseChannelLayer = channel_layers[alias].channel_layer
    return layer


def _sweep_by(alias: str) -> Callable[[Process], None]:
    """Make the function that sweeps a dead worker process at once, without waiting for its missing heartbeats."""
    from channels_classic.asgi import channel_layers
    from channels_classic.layers import LayerUnavailable
    from channels_classic.processes.heartbeat import Sweeper
    from worker.loop import Worker

    layer = channel_layers[alias]
    worker = Worker(layer)
    sweeper = Sweeper(layer.channel_layer, worker.describe)

    def sweep(process: Process) -> None:
        try:
            sweeper.sweep(process)
        except LayerUnavailable:
            logger.warning("%s has died; other processes take over what it had once Redis is back.", process.name)

    return sweep


def check(options: Options) -> None:
    """Check that workers with these options can do something.

    Raises:
        CannotRun: they cannot.
    """
    from channels_classic.asgi import channel_layers
    from channels_classic.exceptions import InvalidChannelLayerError
    from channels_classic.http.staticfiles import default_http_consumer
    from channels_classic.layer_settings.entries import where
    from channels_classic.layers import LayerUnavailable
    from worker.loop import Worker

    try:
        layer = channel_layers[options.layer]
    except InvalidChannelLayerError as error:
        raise CannotRun(str(error)) from None
    except LayerUnavailable as error:
        raise CannotRun(f"{where(options.layer)} cannot be used now. {error}") from None
    if layer.local_only():
        raise CannotRun(
            f"{where(options.layer)} is {type(layer.channel_layer).__name__}, which works inside one "
            "process only: this worker would never see a message. Set its BACKEND to "
            "channels_classic.layers.RedisChannelLayer, or use runserver, which has workers of its own."
        )
    if options.tracing:
        try:
            check_tracing()
        except NoTracing as error:
            raise CannotRun(str(error)) from None
    layer.router.check_default(default_http_consumer())
    worker = Worker(layer, only_channels=options.only_channels, exclude_channels=options.exclude_channels)
    if not worker.channels():
        raise CannotRun(
            f"--only-channels and --exclude-channels leave none of the channels of the routing: "
            f"{', '.join(sorted(layer.router.channels))}."
        )


def run_here(options: Options, supervised: Supervised | None = None, monitor: Monitor | None = None) -> None:
    """Run workers in this process. Call ``check`` before.

    Arguments:
        supervised: reports to the supervisor of this process, if it has one.
        monitor: watches the workers, if there is one.

    Raises:
        SystemExit: a worker died. If something still runs that cannot be waited for, the process ends at once.
    """
    from channels_classic.asgi import channel_layers
    from channels_classic.processes.garbage import collect_less_often
    from worker.consume import log_error
    from worker.consumer_log import ConsumerLog
    from worker.group import StillRunning, WorkerGroup
    from worker.health import WorkerHealth
    from worker.requests import not_around_requests

    layer = channel_layers[options.layer]
    consumer_log = ConsumerLog(layer.router) if options.verbosity > 1 else None
    tracing = _tracing(layer.router) if options.tracing else None
    group = WorkerGroup(
        layer,
        options.threads,
        callback=None if consumer_log is None else consumer_log.begin,
        on_error=log_error if tracing is None else tracing.failed,
        only_channels=options.only_channels,
        exclude_channels=options.exclude_channels,
        stream_threads=options.stream_threads,
        concurrency=options.concurrency,
        stop_timeout=options.stop_timeout,
        registered=(lambda process: None) if supervised is None else supervised.introduce,
    )
    if monitor is not None:
        monitor.watch(WorkerHealth(group))
    not_around_requests()
    collect_less_often()
    try:
        with ExitStack() as stack:
            if tracing is not None:
                stack.enter_context(tracing.listening())
            if consumer_log is not None:
                stack.enter_context(consumer_log.listening())
            stack.enter_context(_cared_for(group, options, supervised))
            group.run()
    except StillRunning:
        end_now()
    except Exception as error:
        logger.error("Worker %d ends, because one of its threads died: %s", os.getpid(), one_line(error))
        if group.still_running():
            end_now()
        sys.exit(1)
    logger.info("Worker %d has stopped.", os.getpid())


def _tracing(router: Router) -> ConsumerTracing:
    from worker.tracing import ConsumerTracing

    return ConsumerTracing(router)


@contextmanager
def _cared_for(group: WorkerGroup, options: Options, supervised: Supervised | None) -> Iterator[None]:
    """While the block runs, report to the supervisor, and watch for consumers that take too long."""
    from channels_classic.signals import consumer_finished, worker_process_ready
    from worker.retirement import Retirement
    from worker.timeouts import ConsumerTimeout

    def ready(**_: object) -> None:
        # This comes no sooner, because from here on a signal ends the process properly.
        logger.info(
            "Worker %d, %d thread(s), layer %r, channels: %s",
            os.getpid(),
            options.threads,
            options.layer,
            ", ".join(group.workers[0].channels()),
        )
        if supervised is not None:
            supervised.ready()

    retirement = None
    with ExitStack() as stack:
        worker_process_ready.connect(ready)
        stack.callback(worker_process_ready.disconnect, ready)
        if supervised is not None and options.retires:
            retirement = Retirement(supervised.retire, options.max_messages, options.max_memory)
            consumer_finished.connect(retirement.note)
            stack.callback(consumer_finished.disconnect, retirement.note)
        if (seconds := options.consumer_timeout) is not None:

            def exceeded() -> None:
                if retirement is not None and options.consumer_timeout_retire:
                    retirement.begin(f"a consumer of it runs longer than {seconds:g} s")

            timeout = ConsumerTimeout(seconds, group.running_consumers, exceeded)
            timeout.start()
            stack.callback(timeout.stop)
        yield


def end_now() -> None:
    """End this process with status 1 at once, although threads still run that cannot be ended."""
    try:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:  # a consumer may have closed them, or nobody reads what they write
        # sys.exit would wait for the thread pools of consumers, and so for what runs in them.
        os._exit(1)


def run_child(supervised: Supervised, options: Options, folder: str | None) -> None:
    """Run workers in a process that a ``Supervisor`` started.

    Arguments:
        folder: the folder for its reports to the supervisor; ``None`` without reports.
    """
    import django

    from channels_classic.log import setup_logger

    django.setup()
    setup_logger(verbosity=options.verbosity)
    try:
        check(options)
    except CannotRun as error:
        sys.exit(str(error))
    with monitored_child(folder, _layer(options.layer)) as monitor:
        run_here(options, supervised, monitor)
