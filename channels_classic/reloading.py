"""Development servers that wait until a mistake is repaired.

Django's reloader watches the modules that are loaded. A module whose import failed is not, and a module that does
not exist yet cannot be: after such a mistake the reloader would wait for ever.
"""

from __future__ import annotations

import os
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from django.apps import apps
from django.conf import settings

LOOK_SECONDS = 1.0
"""Between two looks at the files: as often as Django's reloader looks."""

RELOAD_STATUS = 3
"""The exit status by which the reloader's child asks to be started again."""


class Repair:
    """A change of the project's Python files, counted from when this is made: before they are loaded."""

    def __init__(self) -> None:
        self._folders = project_folders()
        self._before = _files(self._folders)

    def wait(self) -> NoReturn:
        """Wait until a file has changed, appeared or gone; then start this process anew."""
        while _files(self._folders) == self._before:
            time.sleep(LOOK_SECONDS)
        sys.stdout.flush()
        sys.stderr.flush()
        # This is not the main thread, where sys.exit would do.
        os._exit(RELOAD_STATUS)


def project_folders() -> list[Path]:
    """The packages of the project: that of its settings, and its apps that are not installed packages."""
    folders = {Path(config.path) for config in apps.get_app_configs()}
    for module in (getattr(settings, "SETTINGS_MODULE", None), getattr(settings, "ROOT_URLCONF", None)):
        spec = find_spec(module.partition(".")[0]) if module else None
        folders.update(map(Path, (spec.submodule_search_locations if spec else None) or ()))
    return [folder for folder in folders if not {"site-packages", "dist-packages"} & set(folder.parts)]


def _files(folders: list[Path]) -> dict[Path, int]:
    """When each Python file was changed. An app that is new, or beside ``manage.py``, counts as well."""
    here = Path.cwd()
    paths = {*here.glob("*.py"), *here.glob("*/*.py")}
    for folder in folders:
        paths.update(folder.rglob("*.py"))
    found: dict[Path, int] = {}
    for path in paths:
        try:
            found[path] = path.stat().st_mtime_ns
        except OSError:
            continue  # it went meanwhile
    return found
