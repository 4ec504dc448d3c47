"""Decides which app's ``runserver`` and ``runworker`` a project has, if several apps have these commands.

A project of Channels 4 keeps its own, in any order of ``INSTALLED_APPS``. Ours are always available as
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
from channels_classic.layer_settings.entries import SHARED_SETTING, is_foreign
from channels_classic.old_names import legacy_is_active

OURS = "channels_classic"

LEGACY = "channels_classic.legacy"
"""Where the commands are that projects of Channels 1 extend."""

OTHER_NAMES = {"runserver": "classicserver", "runworker": "classicworker"}
"""For each command that other apps may have, too, a name that only this app has."""

DJANGOS = ("django.core", "django.contrib.staticfiles")


def settle(*, setting: str = "INSTALLED_APPS", **_: Any) -> None:
    """Decide which app owns the commands, independent of the order of ``INSTALLED_APPS``.

    Arguments:
        setting: the setting that has changed, when this is a receiver of ``setting_changed``.
    """
    if setting != "INSTALLED_APPS" or not apps.is_installed(OURS):
        return
    commands = management.get_commands()
    if is_of_channels_4():
        commands.update(_of_others())
    # A command of the project itself stays, if its app comes first.
    elif commands.get("runserver") in DJANGOS:
        commands["runserver"] = OURS
    if legacy_is_active():
        commands.update({name: LEGACY for name in OTHER_NAMES if commands.get(name) == OURS})


def is_of_channels_4() -> bool:
    """Whether the project runs on Channels 4 (or an older version that is not hidden)."""
    if legacy_is_active():
        return False
    if apps.is_installed("channels") or apps.is_installed("daphne"):
        return True
    if installed_channels.version() is None:
        return False
    # Channels 4 need not be in INSTALLED_APPS. Only its users have this setting, which no new Django project has.
    default = _default_entry()
    return is_foreign(default) or (default is None and getattr(settings, "ASGI_APPLICATION", None) is not None)


def owner(command: str) -> str:
    """The app that owns the command."""
    found = management.get_commands().get(command, OURS)
    return found if isinstance(found, str) else type(found).__module__


def _default_entry() -> object:
    entries = getattr(settings, SHARED_SETTING, None)
    return entries.get(DEFAULT_CHANNEL_LAYER) if isinstance(entries, dict) else None


def _of_others() -> dict[str, str]:
    """The owners of the commands without this app, by Django's rules."""
    found = {"runserver": "django.core"}
    for app in reversed(list(apps.get_app_configs())):
        if app.name != OURS:
            names = management.find_commands(str(Path(app.path, "management")))
            found.update({name: app.name for name in OTHER_NAMES if name in names})
    return found
