"""Finds the version of ``channels`` that is installed beside this package, without importing it."""

from __future__ import annotations

import functools
from importlib import metadata

from channels_classic.old_names import legacy_is_active

OLDEST = 4
"""The oldest major version of ``channels`` that works beside this package."""


def version() -> str | None:
    """The version of the package ``channels``; ``None`` if there is none, or the old names hide it."""
    return None if legacy_is_active() else _version()


@functools.cache
def _version() -> str | None:
    try:
        return metadata.version("channels")
    except metadata.PackageNotFoundError:
        return None


def problem() -> str | None:
    """A text that tells why Channels 4 cannot be used here, and what to do; ``None`` if it can."""
    if legacy_is_active():
        return (
            "The import of channels_classic.legacy hides the package channels, because both answer to that name. "
            "Remove the import, and write channels_classic where you mean the classic one."
        )
    found = version()
    if found is None:
        return "Channels 4 is not installed: pip install 'channels>=4,<5'."
    if int(found.partition(".")[0]) >= OLDEST:
        return None
    if found.startswith("1."):
        return (
            f"channels {found} is installed, which does not run on this Django. Uninstall it. What was written "
            "for it runs with 'import channels_classic.legacy' in the settings."
        )
    return (
        f"channels {found} is installed, but channels-classic works beside version 4 only: "
        "pip install 'channels>=4,<5'."
    )
