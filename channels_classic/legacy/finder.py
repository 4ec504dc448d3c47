"""The import machinery behind the old names. Each stands for the current module itself, not for a copy."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from types import ModuleType

from channels_classic.old_names import ADDED, PACKAGES, current_name


class OldNameFinder(MetaPathFinder):
    """Finds a module by its old name."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of the module, or ``None`` if ``fullname`` is not an old name.

        Raises:
            ModuleNotFoundError: it is an old name, but there is no such module here.
        """
        name = current_name(fullname)
        if name is None:
            return None
        if not _exists(name):
            raise ModuleNotFoundError(
                f"No module named {name!r}, which is what {fullname!r} means here: channels_classic.legacy was "
                "imported.",
                name=fullname,
            )
        return ModuleSpec(fullname, _OldNameLoader(name))


def _exists(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # not even its package does
        return False


class _OldNameLoader(Loader):
    """Imports the module by its current name, and makes the old name stand for the same object."""

    def __init__(self, name: str) -> None:
        self._name = name

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        current = import_module(self._name)
        for name, home in ADDED.get(self._name, {}).items():
            setattr(current, name, getattr(import_module(home), name))
        sys.modules[module.__spec__.name] = current


def install() -> None:
    """Make the old names available to imports.

    Raises:
        ImportError: one of them already stands for something else.
    """
    for name in PACKAGES:
        if name in sys.modules:
            raise ImportError(
                f"channels_classic.legacy comes too late: {name!r} has been imported already, from "
                f"{_place(sys.modules[name].__spec__)}. Make 'import channels_classic.legacy' the first line of "
                "manage.py, of asgi.py or of the settings, before anything that imports it."
            )
    for name in PACKAGES:
        if "." not in name:
            _warn_of_another(name)
    sys.meta_path.insert(0, OldNameFinder())


def _warn_of_another(name: str) -> None:
    spec = PathFinder.find_spec(name)
    if spec is None or spec.origin is None:  # none, or a folder that merely has that name
        return
    try:
        other = f"{name} {version(name)}"
    except PackageNotFoundError:
        other = f"another {name!r}"
    warnings.warn(
        f"{name!r} means {PACKAGES[name]!r} here, because channels_classic.legacy was imported, and no longer "
        f"{other} in {_place(spec)}. If nothing needs that one, uninstall it, and this warning ends. If something "
        "does, remove the import of channels_classic.legacy, and write channels_classic where the classic one is "
        "meant.",
        RuntimeWarning,
        stacklevel=4,
    )


def _place(spec: ModuleSpec | None) -> str:
    return (spec and spec.origin) or "an unknown place"
