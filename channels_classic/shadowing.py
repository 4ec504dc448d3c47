"""Checks at start that no ``worker`` or ``interface_server`` of the project hides ours."""

from __future__ import annotations

from importlib.machinery import PathFinder
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

PACKAGES = ("interface_server", "worker")


def check_packages() -> None:
    """Check that no module on ``sys.path`` hides one of our packages, or is hidden by one.

    Raises:
        ImproperlyConfigured: there is such a module. The text names it, and tells what to do.
    """
    home = Path(__file__).resolve().parent.parent
    for name in PACKAGES:
        spec = PathFinder.find_spec(name)
        if spec is None:  # an editable install has its own finder, and is not on the path
            continue
        found = Path(spec.origin or next(iter(spec.submodule_search_locations or ()), "")).resolve()
        if found not in (home / name, home / name / "__init__.py"):
            raise ImproperlyConfigured(
                f"The project has a module of its own named {name!r}, at {found}. channels-classic brings a "
                f"package of that name along ({home / name}), and Python can import only one of the two. Rename "
                f"the project's, or move it into a package, as myproject/{name}."
            )
