"""A project's own ``worker`` or ``interface_server`` must not hide ours: found at start, and said plainly."""

from __future__ import annotations

from importlib.machinery import PathFinder
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

PACKAGES = ("interface_server", "worker")


def check_packages() -> None:
    """Make sure that nothing on ``sys.path`` hides one of our packages from imports, nor one of ours it.

    Raises:
        ImproperlyConfigured: something does; the text says what, and the way out.
    """
    home = Path(__file__).resolve().parent.parent
    for name in PACKAGES:
        spec = PathFinder.find_spec(name)
        if spec is None:  # installed in place: then a finder of its own knows it, and nothing on the path does
            continue
        found = Path(spec.origin or next(iter(spec.submodule_search_locations or ()), "")).resolve()
        if found not in (home / name, home / name / "__init__.py"):
            raise ImproperlyConfigured(
                f"The project has a module of its own named {name!r}, at {found}. channels-classic brings a "
                f"package of that name along ({home / name}), and Python can import only one of the two. Rename "
                f"the project's, or move it into a package, as myproject/{name}."
            )
