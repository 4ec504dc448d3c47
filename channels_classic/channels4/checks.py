"""System checks for projects with both Channels 4 and this package."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Warning, register

from channels_classic import command_owners, installed_channels
from channels_classic.layer_settings.entries import SHARED_SETTING, foreign_backends, setting_name
from channels_classic.redaction import redacted


@register("channels")
def check_commands(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Tell which app owns ``runserver`` and ``runworker``, if others have commands with these names."""
    if not command_owners.is_of_channels_4():
        if getattr(settings, "ASGI_APPLICATION", None) is None:
            return []
        return [
            Info(
                "ASGI_APPLICATION is set, but runserver belongs to channels_classic here, which ignores "
                "it: clients are served by the channel layer.",
                hint="To serve ASGI_APPLICATION start an ASGI server with it, or hand it some paths: "
                "channels-interface --mount.",
                id="channels.I021",
            )
        ]
    owners = {command: command_owners.owner(command) for command in command_owners.OTHER_NAMES}
    said = [
        f"{command} belongs to {owner}, and that of channels_classic is {command_owners.OTHER_NAMES[command]}"
        for command, owner in owners.items()
        if owner != command_owners.OURS
    ]
    if not said:
        return []
    hint = None
    if owners["runserver"] in command_owners.DJANGOS:
        hint = (
            "Django's runserver serves no WebSockets. For those of Channels, put 'daphne' first into "
            "INSTALLED_APPS, or start an ASGI server with ASGI_APPLICATION. For classic consumers alone, start "
            f"{command_owners.OTHER_NAMES['runserver']}."
        )
    major = (installed_channels.version() or "4").partition(".")[0]
    return [Info(f"This project runs on Channels {major}: {'; '.join(said)}.", hint=hint, id="channels.I020")]


@register("channels")
def check_package(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check that the version of ``channels``, if it is installed, works beside this package."""
    if installed_channels.version() is None or (problem := installed_channels.problem()) is None:
        return []
    return [Warning(problem, id="channels.W020")]


@register("channels")
def check_layers_of_channels_4(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check that the layers of this project in ``CHANNEL_LAYERS`` can be made for Channels 4."""
    found: list[CheckMessage] = []
    for alias, backend in foreign_backends().items():
        place = f"{SHARED_SETTING}[{alias!r}]['BACKEND']"
        if backend.startswith("channels_redis.") and find_spec("channels_redis") is None:
            found.append(
                Warning(
                    f"{place} is {backend}, but channels_redis is not installed.",
                    hint="pip install channels_redis. Or use channels_classic.channels4.RedisChannelLayer.",
                    id="channels.W021",
                )
            )
    if not command_owners.is_of_channels_4() or installed_channels.problem() is not None:
        return found
    entries = getattr(settings, SHARED_SETTING, {})
    for alias, entry in entries.items() if isinstance(entries, dict) else ():
        if not isinstance(entry, dict):
            continue
        if "ROUTING" in entry:
            found.append(_refused_by_channels_4(alias))
        elif str(entry.get("BACKEND")).startswith("channels_classic.channels4."):
            found += _check_adapter(alias, entry)
    return found


def _refused_by_channels_4(alias: str) -> CheckMessage:
    return Warning(
        f"{SHARED_SETTING}[{alias!r}] has 'ROUTING', so it is a layer of channels-classic. A consumer of Channels "
        "4 that asks for this layer fails.",
        hint="Move the entry into the setting CHANNELS_CLASSIC_LAYERS. If both are to share the layer, put "
        "{'BACKEND': 'channels_classic.channels4.ClassicChannelLayer'} in its place.",
        id="channels.W022",
    )


def _check_adapter(alias: str, entry: dict[str, Any]) -> list[CheckMessage]:
    from channels.layers import channel_layers

    try:
        channel_layers.make_backend(alias)
    except Exception as error:
        config = entry.get("CONFIG", {})
        text, _ = redacted(error, config if isinstance(config, dict) else {})
        return [
            Error(
                f"{SHARED_SETTING}[{alias!r}] cannot be used by Channels 4: {type(error).__name__}: {text}",
                hint=f"Our layers are in {setting_name()}.",
                id="channels.E020",
            )
        ]
    return []
