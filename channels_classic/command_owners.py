"""Whose ``runserver`` and ``runworker`` a project has: two apps bring commands of these names.

A project of Channels 4 keeps its own, wherever in ``INSTALLED_APPS`` this app stands. Ours can always be had as
``classicserver`` and ``classicworker``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core import management

from channels_classic import installed_channels
from channels_classic.defaults import DEFAULT_CHANNEL_LAYER
from channels_classic.layer_entries import SHARED_SETTING, is_foreign
from channels_classic.old_names import legacy_is_active

OURS = "channels_classic"

OTHER_NAMES = {"runserver": "classicserver", "runworker": "classicworker"}
"""For each command that others have too, the name that only ours has."""

DJANGOS = ("django.core", "django.contrib.staticfiles")


def settle(*, setting: str = "INSTALLED_APPS", **_: Any) -> None:
    """Decide who owns the commands, whatever the order of ``INSTALLED_APPS`` says.

    Arguments:
        setting: which setting was changed, where it is a receiver of ``setting_changed``.
    """
    if setting != "INSTALLED_APPS" or not apps.is_installed(OURS):
        return
    commands = management.get_commands()
    if is_of_channels_4():
        commands.update(_of_others())
    # A project's own command stays, if the order of the apps says so.
    elif commands.get("runserver") in DJANGOS:
        commands["runserver"] = OURS


def is_of_channels_4() -> bool:
    """Whether the project runs on Channels 4 (or an older one that is not hidden), with or without us."""
    if legacy_is_active():
        return False
    if apps.is_installed("channels") or apps.is_installed("daphne"):
        return True
    if installed_channels.version() is None:
        return False
    # Channels 4 need not be among the apps. Django itself does not make this setting in a new project.
    default = _default_entry()
    return is_foreign(default) or (default is None and getattr(settings, "ASGI_APPLICATION", None) is not None)


def owner(command: str) -> str:
    """The app whose command it is."""
    found = management.get_commands().get(command, OURS)
    return found if isinstance(found, str) else type(found).__module__


def _default_entry() -> object:
    entries = getattr(settings, SHARED_SETTING, None)
    return entries.get(DEFAULT_CHANNEL_LAYER) if isinstance(entries, dict) else None


def _of_others() -> dict[str, str]:
    """Who would own the commands without this app, as Django finds it out."""
    found = {"runserver": "django.core"}
    for app in reversed(list(apps.get_app_configs())):
        if app.name != OURS:
            names = management.find_commands(str(Path(app.path, "management")))
            found.update({name: app.name for name in OTHER_NAMES if name in names})
    return found
