"""System checks: ``manage.py check`` finds settings that cannot work, before a client does."""

from __future__ import annotations

import difflib
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.management import get_commands, load_command_class

from channels_classic import DEFAULT_CHANNEL_LAYER
from channels_classic.asgi import channel_layers
from channels_classic.command_owners import is_of_channels_4
from channels_classic.dotted import place_of
from channels_classic.exceptions import InvalidChannelLayerError
from channels_classic.layer_settings.entries import foreign_backends, layer_entry, setting_name, where
from channels_classic.layers import LayerUnavailable
from channels_classic.redaction import one_line, redacted, without_logins
from channels_classic.routing import Router
from channels_classic.sessions.store import keeps_sessions

CLIENT_CHANNELS = (
    "http.request",
    "http.disconnect",
    "websocket.connect",
    "websocket.receive",
    "websocket.disconnect",
)
"""The channels that interface servers send to."""

MEANT = {
    "websocket.close": "websocket.disconnect",
    "websocket.closed": "websocket.disconnect",
    "websocket.message": "websocket.receive",
    "websocket.open": "websocket.connect",
}
"""Names of other libraries for these channels. They differ too much to be found by similarity."""

OUR_RUNSERVER = "channels_classic.management.commands.runserver"

SIMILAR = 0.8
"""The similarity to one of them, from 0 to 1, from which on a name counts as a misspelling of it."""


@register("channels")
def check_channel_layers(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check that the settings make layers and routers, and that their routes can get messages."""
    if not hasattr(settings, setting_name()):
        # A project of Channels 4 need not have a default layer.
        return [] if is_of_channels_4() else [_no_layers()]
    try:
        aliases = list(channel_layers.configs)
    except InvalidChannelLayerError as error:
        return [Error(str(error), id="channels.E001")]
    found: list[CheckMessage] = []
    has_others = foreign_backends() or (not aliases and is_of_channels_4())
    if DEFAULT_CHANNEL_LAYER not in aliases and not has_others:
        found.append(
            Warning(
                f"{setting_name()} has no {DEFAULT_CHANNEL_LAYER!r}, which runserver, runworker, Channel() and "
                "Group() use unless they are told otherwise.",
                hint=f"{'Rename one of its layers to' if aliases else 'Add'} {DEFAULT_CHANNEL_LAYER!r}, or "
                "silence channels.W006.",
                id="channels.W006",
            )
        )
    for alias in aliases:
        place = where(alias)
        try:
            layer = channel_layers.make_backend(alias)
            found += _check_routing(layer.router, f"{place}['ROUTING']")
            layer.close()
            if "TEST_CONFIG" in layer_entry(alias):
                channel_layers.make_test_backend(alias).close()
        except InvalidChannelLayerError as error:
            found.append(Error(str(error), id="channels.E001"))
        except LayerUnavailable as error:
            found.append(
                Warning(
                    f"{place} cannot be used now: {one_line(error)}",
                    hint="Start its server, or correct its address in CONFIG.",
                    id="channels.W003",
                )
            )
        except Exception as error:
            kind = type(error).__name__
            text, _ = redacted(error, _config(alias))
            text = without_logins(text)
            found.append(Error(f"{place} cannot be used: {kind}: {text}{place_of(error)}", id="channels.E001"))
    return found


def _no_layers() -> CheckMessage:
    package = getattr(settings, "ROOT_URLCONF", "").partition(".")[0] or "mysite"
    misspelt = difflib.get_close_matches("CHANNEL_LAYERS", dir(settings), n=1, cutoff=SIMILAR)
    meant = f"The settings have {misspelt[0]}: rename it. " if misspelt else ""
    return Warning(
        "CHANNEL_LAYERS is not set. Views work, but WebSockets open and nothing answers them.",
        hint=f"{meant}Begin with CHANNEL_LAYERS = {{'default': {{'BACKEND': "
        "'channels_classic.layers.InMemoryChannelLayer', 'ROUTING': "
        f"'{package}.routing.channel_routing'}}}}.",
        id="channels.W005",
    )


@register("channels")
def check_runserver(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check that ``runserver`` is ours, or built on ours. Any other answers WebSockets with 404."""
    app = get_commands().get("runserver")
    if not isinstance(app, str) or app == "channels_classic" or is_of_channels_4():
        return []
    try:
        command = type(load_command_class(app, "runserver"))
    except Exception:
        return []  # a call of the command shows the error
    if any(base.__module__ == OUR_RUNSERVER for base in command.__mro__):
        return []
    return [
        Warning(
            f"'manage.py runserver' is the one of {app!r}, which answers WebSockets with 404.",
            hint=f"Put 'channels_classic' before {app!r} in INSTALLED_APPS. If that command extends the one of a "
            f"later app, as WhiteNoise's does, put 'channels_classic' directly after {app!r}.",
            id="channels.W007",
        )
    ]


def _check_routing(router: Router, place: str) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for channel in sorted(router.channels - set(CLIENT_CHANNELS)):
        meant = MEANT.get(channel) or next(
            iter(difflib.get_close_matches(channel.lower(), CLIENT_CHANNELS, n=1, cutoff=SIMILAR)), None
        )
        if meant is not None:
            found.append(
                Warning(
                    f"{place} routes the channel {channel!r}, but no message of a client is ever sent to it.",
                    hint=f"Did you mean {meant!r}? If your own code sends to {channel!r}, add 'channels.W002' to "
                    "SILENCED_SYSTEM_CHECKS.",
                    id="channels.W002",
                )
            )
    return found


def _config(alias: str) -> dict[str, Any]:
    config = layer_entry(alias).get("CONFIG", {})
    return config if isinstance(config, dict) else {}


@register("channels")
def check_session_engine(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check that the engine for HTTP sessions lets an open socket notice that a session has ended."""
    try:
        if keeps_sessions(settings.SESSION_ENGINE):
            return []
    except (ImportError, AttributeError):
        return []  # an engine that cannot be imported breaks every page, so it needs no warning
    return [
        Warning(
            f"SESSION_ENGINE is {settings.SESSION_ENGINE!r}, which keeps sessions in signed cookies: nothing on "
            "the server knows that somebody logged out, and an open WebSocket keeps the user it began with.",
            hint="Set SESSION_ENGINE to an engine that keeps sessions on the server, such as "
            "django.contrib.sessions.backends.cached_db. Or close the sockets of a user who logs out yourself, in "
            "a receiver of the signal user_logged_out, and add 'channels.W001' to SILENCED_SYSTEM_CHECKS.",
            id="channels.W001",
        )
    ]
