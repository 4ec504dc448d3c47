"""The Django app ``channels_classic``."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from django.apps import AppConfig
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from channels_classic.old_names import legacy_is_active
from channels_classic.shadowing import check_packages


class ChannelsClassicConfig(AppConfig):
    """Makes Django run the right commands, and check the settings."""

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
        """Decide who owns the commands, and register checks."""
        check_packages()
        import_module("channels_classic.checks")
        import_module("channels_classic.channels4.checks")
        import_module("channels_classic.binding.checks")
        import_module("channels_classic.binding.base").BindingMetaclass.register_all()
        import_module("channels_classic.plain_asgi").explain()
        settle = import_module("channels_classic.command_owners").settle
        settle()
        # A test that overrides INSTALLED_APPS makes Django look for commands again, in a receiver of this signal.
        # Our receiver has to come after it, so it is connected anew here, after Django's.
        setting_changed.disconnect(dispatch_uid=__name__)
        setting_changed.connect(settle, dispatch_uid=__name__)
        if legacy_is_active():
            import_module("channels_classic.legacy.dialect").discover()
