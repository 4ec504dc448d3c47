"""Lets development servers wait until an error in the code is repaired.

Django's reloader watches loaded modules. A module whose import has failed is not loaded, and a module may not
exist yet. After such an error the reloader would wait for ever.
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
"""Seconds between two looks at the files, as in Django's reloader."""

RELOAD_STATUS = 3
"""The exit status with which the child of the reloader asks for a restart."""


class Repair:
    """Waits for a change of the project's Python files. Make it before they are loaded."""

    def __init__(self) -> None:
        self._folders = project_folders()
        self._before = _files(self._folders)

    def wait(self) -> NoReturn:
        """Wait until a file has changed, appeared or disappeared, then restart this process."""
        while _files(self._folders) == self._before:
            time.sleep(LOOK_SECONDS)
        sys.stdout.flush()
        sys.stderr.flush()
        # sys.exit would be enough in the main thread, but this is another one.
        os._exit(RELOAD_STATUS)


def project_folders() -> list[Path]:
    """The folders of the project: that of its settings, and those of its apps that are not installed packages."""
    folders = {Path(config.path) for config in apps.get_app_configs()}
    for module in (getattr(settings, "SETTINGS_MODULE", None), getattr(settings, "ROOT_URLCONF", None)):
        spec = find_spec(module.partition(".")[0]) if module else None
        folders.update(map(Path, (spec.submodule_search_locations if spec else None) or ()))
    return [folder for folder in folders if not {"site-packages", "dist-packages"} & set(folder.parts)]


def _files(folders: list[Path]) -> dict[Path, int]:
    """The time of the last change of each Python file, including apps that are new, or beside ``manage.py``."""
    here = Path.cwd()
    paths = {*here.glob("*.py"), *here.glob("*/*.py")}
    for folder in folders:
        paths.update(folder.rglob("*.py"))
    found: dict[Path, int] = {}
    for path in paths:
        try:
            found[path] = path.stat().st_mtime_ns
        except OSError:
            continue  # the file has disappeared meanwhile
    return found
