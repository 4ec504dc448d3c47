"""The Django app."""

from __future__ import annotations

from django.apps import AppConfig


class LiveConfig(AppConfig):
    """The app of the live page. It is separate, so that a project can do without the page."""

    name = "channels_classic.live"
    label = "channels_live"
    verbose_name = "Channels"
