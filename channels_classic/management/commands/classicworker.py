"""``manage.py classicworker``: our ``runworker`` under a name that no other app has."""

from __future__ import annotations

from channels_classic.management.commands.runworker import Command

__all__ = ["Command"]
