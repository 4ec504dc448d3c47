"""System checks of bindings: ``manage.py check`` finds names that are not fields."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Warning, register

from channels_classic.binding import changes, fields


@register("channels")
def check_field_names(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check that ``fields`` and ``exclude`` name fields of the model."""
    warnings: list[CheckMessage] = []
    for binding in changes.all_listeners():
        for attribute in ("fields", "exclude"):
            for name in fields.unknown(binding.model, getattr(binding, attribute)):
                warnings.append(
                    Warning(
                        f"{attribute} names {name!r}, but {binding.model._meta.label} has no such field.",
                        hint="Correct the name or remove it. A misspelt name in exclude excludes nothing.",
                        obj=binding,
                        id="channels.W010",
                    )
                )
    return warnings
