"""The Django app."""

from __future__ import annotations

from django.apps import AppConfig


class LiveConfig(AppConfig):
    """An app of its own, so that only those have the page who want it."""

    name = "channels_classic.live"
    label = "channels_live"
    verbose_name = "Channels"
