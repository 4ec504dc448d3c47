"""The Django app ``channels_classic.delay``."""

from __future__ import annotations

from django.apps import AppConfig


class DelayConfig(AppConfig):
    """The app. It has the label and the table of the app of Channels 1, and takes over its messages."""

    name = "channels_classic.delay"
    label = "delay"
    verbose_name = "Delayed messages"
    default_auto_field = "django.db.models.AutoField"
