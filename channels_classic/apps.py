"""The Django app ``channels_classic``."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig
from django.core import management


class ChannelsClassicConfig(AppConfig):
    """Puts our ``runserver`` in the place of Django's, wherever in ``INSTALLED_APPS`` the app stands."""

    name = "channels_classic"
    verbose_name = "Channels"

    def ready(self) -> None:
        """Take the command over from Django's own apps (one of the project's own stays), register checks."""
        import_module("channels_classic.checks")
        commands = management.get_commands()
        if commands.get("runserver") in ("django.core", "django.contrib.staticfiles"):
            commands["runserver"] = self.name
