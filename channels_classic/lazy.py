"""Names of a package that are imported when they are first used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Make the ``__getattr__`` of a package that imports some of its names only when they are first used.

    It is meant for names whose modules need Django's settings, or take long to import.

    Arguments:
        package: the package's ``__name__``.
        homes: for each name the module that defines it.

    Returns:
        A function for the package to bind to ``__getattr__``. It raises ``AttributeError`` for any other name.
    """

    def __getattr__(name: str) -> Any:  # noqa: N807
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(homes[name]), name)

    __getattr__.names = homes  # type: ignore[attr-defined]  # Python uses it for suggestions
    return __getattr__
