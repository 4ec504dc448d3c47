"""The command ``channels-worker``: workers without ``manage.py``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import click

from worker.options import PREFIX, BadOption, fields, flag, options_from
from worker.running import CannotRun, run


def with_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command an option for each field of ``Options``."""
    for field in reversed(list(fields())):
        kind = {bool: {"is_flag": True}, tuple: {"multiple": True}}.get(type(field.default), {"type": str})
        given = {"metavar": field.metadata["metavar"]} if "metavar" in field.metadata else {}
        shown = field.default if isinstance(field.default, (str, int, float)) else None
        command = click.option(
            flag(field),
            default=None if shown is None or field.default is False else str(shown),
            help=field.metadata["help"],
            **kind,
            **given,
        )(command)
    return command


@click.command(context_settings={"auto_envvar_prefix": PREFIX, "show_default": True})
@click.option(
    "--settings",
    envvar="DJANGO_SETTINGS_MODULE",
    show_envvar=True,
    required=True,
    help="The project's settings module, such as myproject.settings.",
)
@click.option("--pythonpath", default=".", help="The folder that the project is imported from.")
@with_options
@click.option("-v", "--verbose", count=True, default=0, show_default=False, help="Log each message.")
def main(settings: str, pythonpath: str, verbose: int, **values: Any) -> None:
    """Run workers: they take messages from a channel layer and run the consumers of the project.

    Each option is also an environment variable: CHANNELS_WORKER_THREADS=4 means --threads 4. At SIGTERM or
    Ctrl-C the program finishes the running consumers and ends. A second signal ends it without waiting for them.
    """
    sys.path.insert(0, os.path.abspath(pythonpath))
    os.environ["DJANGO_SETTINGS_MODULE"] = settings
    try:
        import_module(settings)
    except ImportError as error:
        raise click.ClickException(f"Cannot import the settings {settings!r}: {error}.") from error
    import django
    from django.core.exceptions import ImproperlyConfigured

    from channels_classic.log import setup_logger

    try:
        options = options_from(
            {name: value for name, value in values.items() if value not in ((), False)}, verbosity=1 + verbose
        )
    except BadOption as error:
        raise click.UsageError(str(error)) from error
    try:
        django.setup()
        setup_logger(verbosity=options.verbosity)
        run(options)
    except (CannotRun, ImproperlyConfigured) as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
