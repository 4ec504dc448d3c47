"""The Django app ``channels_classic``."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from django.apps import AppConfig
from django.conf import settings
from django.core import management
from django.core.exceptions import ImproperlyConfigured

from channels_classic.old_names import legacy_is_active
from channels_classic.shadowing import check_packages


class ChannelsClassicConfig(AppConfig):
    """Replaces Django's ``runserver`` by ours, at any position of the app in ``INSTALLED_APPS``."""

    name = "channels_classic"
    verbose_name = "Channels"

    def __init__(self, app_name: str, app_module: ModuleType | None) -> None:
        if legacy_is_active() and {"channels", "channels_classic"} <= set(settings.INSTALLED_APPS):
            raise ImproperlyConfigured(
                "INSTALLED_APPS has both 'channels' and 'channels_classic', but since channels_classic.legacy was "
                "imported they are the same app: remove one of them."
            )
        super().__init__(app_name, app_module)

    def ready(self) -> None:
        """Replace the command of Django's own apps, but not one of the project's, and register checks."""
        check_packages()
        import_module("channels_classic.checks")
        import_module("channels_classic.binding.checks")
        import_module("channels_classic.binding.base").BindingMetaclass.register_all()
        import_module("channels_classic.plain_asgi").explain()
        commands = management.get_commands()
        if commands.get("runserver") in ("django.core", "django.contrib.staticfiles"):
            commands["runserver"] = self.name
        if legacy_is_active():
            import_module("channels_classic.legacy.dialect").discover()
