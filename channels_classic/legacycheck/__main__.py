"""``python -m channels_classic.legacycheck [--json] [FOLDER]``: for projects that do not start yet."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from channels_classic.legacycheck.report import as_json, as_text, find


def main(arguments: list[str] | None = None) -> int:
    """Check a folder; the exit status is 1 if something was found, 2 if there is no such folder."""
    parser = argparse.ArgumentParser(
        prog="python -m channels_classic.legacycheck",
        description="Finds what has to change in a project of Channels 1 before it runs on channels-classic.",
    )
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), help="where manage.py is (default: here)")
    parser.add_argument("--json", action="store_true", help="print JSON, a list of objects")
    options = parser.parse_args(arguments)
    try:
        findings = find(options.folder)
    except NotADirectoryError as error:
        parser.error(str(error))
    print(as_json(findings) if options.json else as_text(findings))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
