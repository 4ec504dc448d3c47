"""``manage.py legacycheck`` finds what has to change in a project of Channels 1."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from channels_classic.legacycheck.report import as_json, as_text, find


class Command(BaseCommand):
    """Reads a project without running it, and prints what will not work. Its exit status is 1 if it finds any."""

    help = (
        "Lists what you have to change in a project of Channels 1: file and line, cause, remedy. The exit status "
        "is 1 if there is anything. If the project does not start: python -m channels_classic.legacycheck"
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the arguments: the folder, and the format."""
        parser.add_argument(
            "folder",
            nargs="?",
            type=Path,
            default=Path(),
            help="The folder with manage.py (default: the current one).",
        )
        parser.add_argument("--json", action="store_true", help="Print JSON, a list of objects.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Check the project, and print the findings."""
        try:
            findings = find(options["folder"])
        except NotADirectoryError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(as_json(findings) if options["json"] else as_text(findings))
        if findings:
            sys.exit(1)
