"""Running workers, as both commands do: in this process, or in several under a supervisor."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable

from channels_classic.log import logger
from channels_classic.redaction import one_line
from worker.options import Options


class CannotRun(Exception):
    """The settings do not fit what the command was asked for; the text says what to change."""


def run(options: Options) -> None:
    """Run workers until SIGTERM or SIGINT comes. Django is set up already.

    Raises:
        CannotRun: nothing could ever be done.
        SystemExit: workers died, or did not end in order.
    """
    check(options)
    if options.processes == 1:
        run_here(options)
        return
    from channels_classic.processes import Supervisor

    supervisor = Supervisor(run_child, (options,), options.processes, "worker", options.stop_timeout)
    if status := supervisor.run():
        sys.exit(status)


def check(options: Options) -> None:
    """Make sure that workers after these options make sense.

    Raises:
        CannotRun: they do not.
    """
    from channels_classic.asgi import channel_layers
    from channels_classic.exceptions import InvalidChannelLayerError
    from channels_classic.http.staticfiles import default_http_consumer
    from channels_classic.layers import LayerUnavailable
    from worker.loop import Worker

    try:
        layer = channel_layers[options.layer]
    except InvalidChannelLayerError as error:
        raise CannotRun(str(error)) from None
    except LayerUnavailable as error:
        raise CannotRun(f"CHANNEL_LAYERS[{options.layer!r}] cannot be used now. {error}") from None
    if layer.local_only:
        raise CannotRun(
            f"CHANNEL_LAYERS[{options.layer!r}] is {type(layer.channel_layer).__name__}, which works inside one "
            "process only: this worker would never see a message. Set its BACKEND to "
            "channels_classic.layers.RedisChannelLayer, or use runserver, which has workers of its own."
        )
    layer.router.check_default(default_http_consumer())
    worker = Worker(layer, only_channels=options.only_channels, exclude_channels=options.exclude_channels)
    if not worker.channels():
        raise CannotRun(
            f"--only-channels and --exclude-channels leave none of the channels of the routing: "
            f"{', '.join(sorted(layer.router.channels))}."
        )


def run_here(options: Options, ready: Callable[[], None] | None = None) -> None:
    """Run workers in this process; ``check`` has been called.

    Arguments:
        ready: called when they are about to receive.

    Raises:
        SystemExit: a worker died. Where something still runs that cannot be waited for, the process ends at once.
    """
    from channels_classic.asgi import channel_layers
    from channels_classic.signals import worker_process_ready
    from worker.connections import not_around_requests
    from worker.group import StillRunning, WorkerGroup
    from worker.loop import Worker

    layer = channel_layers[options.layer]

    def log_message(channel: str, message: object) -> None:
        logger.debug("%s", channel)

    group = WorkerGroup(
        layer,
        options.threads,
        callback=log_message if options.verbosity > 1 else None,
        only_channels=options.only_channels,
        exclude_channels=options.exclude_channels,
        stream_threads=options.stream_threads,
        stop_timeout=options.stop_timeout,
    )
    worker: Worker = group.workers[0]
    logger.info(
        "Worker %d, %d thread(s), layer %r, channels: %s",
        os.getpid(),
        options.threads,
        options.layer,
        ", ".join(worker.channels()),
    )

    def say_ready(**_: object) -> None:
        if ready is not None:
            ready()

    worker_process_ready.connect(say_ready, weak=False, dispatch_uid="worker.running")
    not_around_requests()
    try:
        group.run()
    except StillRunning:
        end_now()
    except Exception as error:
        logger.error("Worker %d ends, because one of its threads died: %s", os.getpid(), one_line(error))
        if group.still_running():
            end_now()
        sys.exit(1)
    logger.info("Worker %d has stopped.", os.getpid())


def end_now() -> None:
    """End this process with status 1, although threads run that nobody can end."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    # sys.exit would wait for thread pools that consumers began, and so for what runs in them.
    os._exit(1)


def run_child(ready: Callable[[], None], options: Options) -> None:
    """Run workers in a process that a ``Supervisor`` started."""
    import django

    from channels_classic.log import setup_logger

    django.setup()
    setup_logger(options.verbosity)
    try:
        check(options)
    except CannotRun as error:
        sys.exit(str(error))
    run_here(options, ready)
