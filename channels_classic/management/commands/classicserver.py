"""``manage.py classicserver``: our ``runserver`` under a name that no other app has."""

from __future__ import annotations

from channels_classic.management.commands.runserver import Command

__all__ = ["Command"]
