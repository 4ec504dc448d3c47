"""``manage.py rundelay``: sends delayed messages on when they are due (specification, section 10)."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from channels_classic import DEFAULT_CHANNEL_LAYER, channel_layers
from channels_classic.exceptions import InvalidChannelLayerError
from channels_classic.layer_settings.entries import where
from channels_classic.log import setup_logger


class Command(BaseCommand):
    """Runs a delay server until SIGTERM or Ctrl-C."""

    help = "Runs a delay server: it takes messages from 'asgi.delay' and sends each of them on when it is due."

    def add_arguments(self, parser: CommandParser) -> None:
        """The layer, and how often to look for what others have stored."""
        parser.add_argument(
            "--layer",
            default=DEFAULT_CHANNEL_LAYER,
            help="The entry of CHANNEL_LAYERS to receive from.",
        )
        parser.add_argument(
            "--sleep",
            type=float,
            default=1.0,
            metavar="SECONDS",
            help=(
                "How often an idle server looks into the database. A message that a stopped server has left waits "
                "no longer than this (default: 1)."
            ),
        )

        parser.add_argument(
            "--resend",
            action="store_true",
            help="Send the messages again of which nobody knows whether a killed server had sent them.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the delay server."""
        if options["sleep"] <= 0:
            raise CommandError(f"--sleep must be more than 0 seconds, not {options['sleep']}.")
        try:
            layer = channel_layers[options["layer"]]
        except InvalidChannelLayerError as error:
            raise CommandError(str(error)) from error
        if layer.local_only():
            raise CommandError(
                f"{where(options['layer'])} is {type(layer.channel_layer).__name__}, which works in "
                "one process only: this server would never see a message. Set its BACKEND to "
                "channels_classic.layers.RedisChannelLayer."
            )
        from worker.delay import Worker

        logger = setup_logger(verbosity=options["verbosity"])
        logger.info("Delay server: receiving on the channel layer %r.", options["layer"])
        Worker(layer, database_sleep_duration=options["sleep"], resend=options["resend"]).run()
