"""The Django app ``channels_classic``."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.core import management
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from channels_classic.old_names import legacy_is_active
from channels_classic.shadowing import check_packages


def take_over_runserver(*, setting: str = "INSTALLED_APPS", **_: Any) -> None:
    """Replace the command of Django's own apps, but not one of the project's.

    Arguments:
        setting: which setting was changed, where it is a receiver of ``setting_changed``.
    """
    if setting != "INSTALLED_APPS" or not apps.is_installed("channels_classic"):
        return
    commands = management.get_commands()
    if commands.get("runserver") in ("django.core", "django.contrib.staticfiles"):
        commands["runserver"] = "channels_classic"


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
        """Take over ``runserver``, and register checks and bindings."""
        check_packages()
        import_module("channels_classic.checks")
        import_module("channels_classic.binding.checks")
        import_module("channels_classic.binding.base").BindingMetaclass.register_all()
        import_module("channels_classic.plain_asgi").explain()
        take_over_runserver()
        # A test that overrides INSTALLED_APPS makes Django look for commands again, in a receiver of this signal.
        # Ours has to come after it, so it is connected anew: Django's is there when a test gets here.
        setting_changed.disconnect(dispatch_uid=__name__)
        setting_changed.connect(take_over_runserver, dispatch_uid=__name__)
        if legacy_is_active():
            import_module("channels_classic.legacy.dialect").discover()
