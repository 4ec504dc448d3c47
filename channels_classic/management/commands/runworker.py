"""``manage.py runworker``: workers in processes of their own (specification, section 12)."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import autoreload

from channels_classic.log import setup_logger
from worker.options import DEFAULTS, HELP, Options
from worker.running import CannotRun, run


class Command(BaseCommand):
    """Runs workers until SIGTERM or Ctrl-C."""

    help = (
        "Runs workers: they take messages from a channel layer and run consumers. With several processes SIGHUP "
        "renews them without a gap."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The layer, how many, and which channels."""

        def add(option: str, **choices: Any) -> None:
            default = f" (default: {choices['default']})" if choices["default"] else ""
            parser.add_argument(f"--{option.replace('_', '-')}", help=HELP[option] + default, **choices)

        add("layer", default=DEFAULTS.layer)
        add("threads", type=int, default=DEFAULTS.threads)
        add("processes", type=int, default=DEFAULTS.processes)
        add("only_channels", action="append", default=[], metavar="GLOB")
        add("exclude_channels", action="append", default=[], metavar="GLOB")
        add("stream_threads", type=int, default=DEFAULTS.stream_threads)
        add("stop_timeout", type=float, default=DEFAULTS.stop_timeout, metavar="SECONDS")
        parser.add_argument(
            "--reload", action="store_true", help="Start again when code changes, for development."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run."""
        for name in ("threads", "processes", "stream_threads"):
            if options[name] < 1:
                raise CommandError(f"--{name.replace('_', '-')} must be 1 or more, not {options[name]}.")
        if not options["stop_timeout"] >= 0:
            raise CommandError(f"--stop-timeout must be 0 or more, not {options['stop_timeout']}.")
        if options["reload"] and options["processes"] > 1:
            raise CommandError("--reload is for a single process; several are renewed by SIGHUP.")
        if options["reload"]:
            autoreload.run_with_reloader(self.run, options)
        else:
            self.run(options)

    def run(self, options: dict[str, Any]) -> None:
        """Run in this process (the reloader's child, with ``--reload``)."""
        if options["reload"]:
            autoreload.raise_last_exception()
        setup_logger(options["verbosity"])
        try:
            run(
                Options(
                    layer=options["layer"],
                    threads=options["threads"],
                    processes=options["processes"],
                    only_channels=options["only_channels"],
                    exclude_channels=options["exclude_channels"],
                    stream_threads=options["stream_threads"],
                    stop_timeout=options["stop_timeout"],
                    verbosity=options["verbosity"],
                )
            )
        except CannotRun as error:
            raise CommandError(str(error)) from error
