"""``manage.py runworker`` as projects of Channels 1 extend it.

They derive a command from ``Command`` and override ``consumer_called``, or replace ``Worker`` or ``WorkerGroup``
in this module. Then the workers run in this process, with the options of Channels 1. All other projects get the
current command.
"""

from __future__ import annotations

import os
from dataclasses import fields
from typing import Any

from django.core.management.base import CommandError

from channels_classic.asgi import channel_layers
from channels_classic.exceptions import InvalidChannelLayerError
from channels_classic.http.staticfiles import default_http_consumer
from channels_classic.layer_settings.entries import where
from channels_classic.layers import InMemoryChannelLayer
from channels_classic.log import setup_logger
from channels_classic.management.commands import runworker
from channels_classic.message import Message
from channels_classic.signals import worker_process_ready
from worker import group, loop
from worker.group import WorkerGroup
from worker.loop import Worker
from worker.options import BadOption, Options, options_from

__all__ = ["Command", "Worker", "WorkerGroup"]

OLD_OPTIONS = {"layer", "threads", "only_channels", "exclude_channels", "verbosity"}


class Command(runworker.Command):
    """Runs workers until SIGTERM or Ctrl-C."""

    def consumer_called(self, channel: str, message: Message) -> None:
        """Log a message before its consumer runs. It is called with ``-v 2`` and more."""
        self.logger.debug("%s", channel)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the workers."""
        self.verbosity: int = options["verbosity"]
        self.logger = setup_logger(verbosity=self.verbosity)
        callback = self.consumer_called if self.verbosity > 1 else None
        is_called = callback is not None and type(self).consumer_called is not Command.consumer_called
        if is_called or Worker is not loop.Worker or WorkerGroup is not group.WorkerGroup:
            self._work(options, callback)
        else:
            super().handle(*args, **options)

    def _work(self, options: dict[str, Any], callback: Any) -> None:
        try:
            chosen = options_from(options, os.environ, self.verbosity)
        except BadOption as error:
            raise CommandError(str(error)) from error
        _check_options(chosen, reload=options["reload"])
        self.n_threads = chosen.threads
        self.channel_layer = _layer_with_routes(chosen.layer)
        arguments: dict[str, Any] = {
            "channel_layer": self.channel_layer,
            "callback": callback,
            "only_channels": chosen.only_channels or None,
            "exclude_channels": chosen.exclude_channels or None,
        }
        if self.n_threads == 1:
            worker: Any = Worker(**arguments)
            worker_process_ready.send(sender=type(worker))
        else:
            worker = WorkerGroup(n_threads=self.n_threads, **arguments)
        worker.ready()
        try:
            worker.run()
        except KeyboardInterrupt:
            pass


def _check_options(chosen: Options, reload: bool) -> None:
    default = Options()
    new = [
        f"--{field.name.replace('_', '-')}"
        for field in fields(chosen)
        if field.name not in OLD_OPTIONS and getattr(chosen, field.name) != getattr(default, field.name)
    ]
    if reload:
        new.append("--reload")
    if new:
        raise CommandError(
            f"{', '.join(new)} cannot be used here: the project overrides consumer_called, or replaces Worker or "
            "WorkerGroup, so the workers run as in Channels 1. Leave out either."
        )


def _layer_with_routes(alias: str) -> Any:
    try:
        layer = channel_layers[alias]
    except InvalidChannelLayerError as error:
        raise CommandError(str(error)) from None
    # A layer class of the project may share messages with other processes, although it derives from this one.
    if type(layer.channel_layer) is InMemoryChannelLayer:
        raise CommandError(
            f"{where(alias)} is InMemoryChannelLayer, which works inside one process only: this worker would "
            "never see a message. Set its BACKEND to asgi_redis.RedisChannelLayer."
        )
    layer.router.check_default(default_http_consumer())
    return layer
