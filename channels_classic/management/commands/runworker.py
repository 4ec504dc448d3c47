"""``manage.py runworker``: workers in processes of their own (specification, section 12)."""

from __future__ import annotations

import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import autoreload

from channels_classic.log import setup_logger
from channels_classic.management.reloading import Repair
from worker.options import BadOption, Options, fields, flag, options_from
from worker.running import CannotRun, run


class Command(BaseCommand):
    """Runs workers until SIGTERM or Ctrl-C."""

    help = (
        "Runs workers: they take messages from a channel layer and run consumers. SIGHUP renews the processes of "
        "--processes without interruption."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options of ``channels-worker``, and ``--reload``."""
        for field in fields():
            details: dict[str, Any] = {"metavar": field.metadata.get("metavar")}
            shown = f" (default: {field.default})"
            if isinstance(field.default, bool):
                details, shown = {"action": "store_true"}, ""
            elif isinstance(field.default, tuple):
                details["action"], shown = "append", ""
            elif field.default is None:
                shown = ""
            # An option that is not given is None here, because the environment may have it.
            parser.add_argument(flag(field), default=None, help=field.metadata["help"] + shown, **details)
        parser.add_argument(
            "--reload",
            action="store_true",
            help="Start again when code changes; for development, with a single process.",
        )

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Check and run. With ``--reload``, the process that the reloader starts does both: it can wait."""
        self.check_kwargs: Any = None if options["skip_checks"] else self.get_check_kwargs(options)
        skip_checks = options["skip_checks"] or options["reload"]
        try:
            return super().execute(*args, **{**options, "skip_checks": skip_checks})
        except KeyboardInterrupt:
            raise CommandError("Interrupted before the workers had started.", returncode=130) from None

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the workers."""
        try:
            chosen = options_from(options, os.environ, options["verbosity"])
        except BadOption as error:
            raise CommandError(str(error)) from error
        if options["reload"] and chosen.processes > 1:
            raise CommandError("--reload is for a single process; several are renewed by SIGHUP.")
        if options["reload"] and chosen.retires:
            raise CommandError(
                "--reload is for development, in a single process: leave out --max-messages, --max-memory and "
                "--consumer-timeout-retire, which replace processes."
            )
        if options["reload"]:
            autoreload.run_with_reloader(self.run_again, chosen)
        else:
            self.run(chosen)

    def run_again(self, options: Options) -> None:
        """Run in the child of the reloader. After an error, wait until the code changes."""
        autoreload.raise_last_exception()
        repair = Repair()
        try:
            if self.check_kwargs is not None:
                self.check(**self.check_kwargs)
            self.run(options)
        except CommandError as error:
            self.stderr.write(str(error))
            self.stderr.write("Waiting for a change of the code ...")
            repair.wait()

    def run(self, options: Options) -> None:
        """Run in this process."""
        setup_logger(verbosity=options.verbosity)
        try:
            run(options)
        except CannotRun as error:
            raise CommandError(str(error)) from error
