"""``channels-worker``: workers without ``manage.py``."""

from __future__ import annotations

import os
import sys
from importlib import import_module

import click

from worker.options import DEFAULTS, HELP, Options
from worker.running import CannotRun, run


@click.command(context_settings={"auto_envvar_prefix": "CHANNELS_WORKER", "show_default": True})
@click.option(
    "--settings",
    envvar="DJANGO_SETTINGS_MODULE",
    show_envvar=True,
    required=True,
    help="The project's settings, as myproject.settings.",
)
@click.option("--pythonpath", default=".", help="The folder that the project is imported from.")
@click.option("--layer", default=DEFAULTS.layer, help=HELP["layer"])
@click.option(
    "--threads",
    type=click.IntRange(1),
    default=DEFAULTS.threads,
    help=HELP["threads"],
)
@click.option("--processes", type=click.IntRange(1), default=DEFAULTS.processes, help=HELP["processes"])
@click.option("--only-channels", multiple=True, metavar="GLOB", help=HELP["only_channels"])
@click.option("--exclude-channels", multiple=True, metavar="GLOB", help=HELP["exclude_channels"])
@click.option(
    "--stream-threads",
    type=click.IntRange(1),
    default=DEFAULTS.stream_threads,
    help=HELP["stream_threads"],
)
@click.option(
    "--stop-timeout",
    type=click.FloatRange(0),
    default=DEFAULTS.stop_timeout,
    help=HELP["stop_timeout"],
)
@click.option("-v", "--verbose", count=True, default=0, show_default=False, help="Log each message.")
def main(
    settings: str,
    pythonpath: str,
    layer: str,
    threads: int,
    processes: int,
    only_channels: tuple[str, ...],
    exclude_channels: tuple[str, ...],
    stream_threads: int,
    stop_timeout: float,
    verbose: int,
) -> None:
    """Run workers: they take messages from a channel layer and run the project's consumers.

    Every option can also be given as an environment variable: CHANNELS_WORKER_THREADS=4 for --threads 4.
    Ends at SIGTERM or Ctrl-C when the consumers that run have finished. A second signal does not wait for them.
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
        django.setup()
        setup_logger(1 + verbose)
        run(
            Options(
                layer=layer,
                threads=threads,
                processes=processes,
                only_channels=only_channels,
                exclude_channels=exclude_channels,
                stream_threads=stream_threads,
                stop_timeout=stop_timeout,
                verbosity=1 + verbose,
            )
        )
    except (CannotRun, ImproperlyConfigured) as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
