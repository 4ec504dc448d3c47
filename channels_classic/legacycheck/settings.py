"""Finds problems in settings: channel layers and sessions."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from channels_classic.legacycheck.finding import Finding
from channels_classic.legacycheck.old_imports import UNSUPPORTED
from channels_classic.legacycheck.project import Project, SourceFile

REDIS = "channels_classic.layers.RedisChannelLayer"

LAYER_KEYS = {
    "capacity",
    "channel_capacity",
    "connection_kwargs",
    "expiry",
    "group_expiry",
    "hosts",
    "prefix",
    "sentinel_refresh_interval",
    "services",
    "stats_prefix",
    "symmetric_encryption_keys",
}
SOCKET_KEYS = {"socket_connect_timeout", "socket_keepalive", "socket_keepalive_options", "socket_timeout"}
SIGNED_COOKIES = "django.contrib.sessions.backends.signed_cookies"


def check(project: Project) -> Iterator[Finding]:
    """Check the values that the modules of the project assign to settings."""
    all_assigned = [(file, dict(_assignments(file))) for file in project.modules]
    says_auto_field = any("DEFAULT_AUTO_FIELD" in assigned for _, assigned in all_assigned)
    for file, assigned in all_assigned:
        if "INSTALLED_APPS" in assigned and not says_auto_field:
            yield file.finding(
                assigned["INSTALLED_APPS"].lineno,
                "django-setting",
                "Without DEFAULT_AUTO_FIELD primary keys have 64 bits from Django 6.0 on, which takes migrations.",
                "Set DEFAULT_AUTO_FIELD = 'django.db.models.AutoField', which the tables have.",
            )
        if "CHANNEL_BACKENDS" in assigned:
            yield file.finding(
                assigned["CHANNEL_BACKENDS"].lineno,
                "layer-backend",
                "CHANNEL_BACKENDS is the setting of Channels 0.8 and before, and nothing reads it.",
                f"Write CHANNEL_LAYERS, with the BACKEND {REDIS!r}.",
            )
        if isinstance(layers := assigned.get("CHANNEL_LAYERS"), ast.Dict):
            for entry in layers.values:
                if isinstance(entry, ast.Dict):
                    yield from _check_layer(file, entry)
        engine = assigned.get("CHANNEL_SESSION_ENGINE", assigned.get("SESSION_ENGINE"))
        if isinstance(engine, ast.Constant) and engine.value == SIGNED_COOKIES:
            yield file.finding(
                engine.lineno,
                "signed-cookies",
                "Channel sessions cannot be kept in signed cookies, and consumers with one raise ValueError.",
                "Set CHANNEL_SESSION_ENGINE, for example to 'channels_classic.session_engine'.",
            )
        apps = assigned.get("INSTALLED_APPS")
        if isinstance(apps, (ast.List, ast.Tuple)):
            names = {each.value: each.lineno for each in apps.elts if isinstance(each, ast.Constant)}
            if {"channels", "channels_classic"} <= names.keys():
                yield file.finding(
                    names["channels"],
                    "app-twice",
                    "'channels' and 'channels_classic' are the same app, with the legacy import.",
                    "Remove one of them.",
                )


def _assignments(file: SourceFile) -> Iterator[tuple[str, ast.expr]]:
    for node in file.tree.body:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    yield target.id, node.value


def _items(node: ast.Dict) -> Iterator[tuple[str, ast.expr]]:
    for key, value in zip(node.keys, node.values, strict=True):
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            yield key.value, value


def _check_layer(file: SourceFile, entry: ast.Dict) -> Iterator[Finding]:
    items = dict(_items(entry))
    backend = items.get("BACKEND")
    name = backend.value if isinstance(backend, ast.Constant) and isinstance(backend.value, str) else ""
    for package in UNSUPPORTED:
        if backend is not None and name.startswith(f"{package}."):
            yield file.finding(
                backend.lineno,
                "layer-backend",
                f"There is no channel layer {name!r} here.",
                f"Use {REDIS!r}, or for a single process 'channels_classic.layers.InMemoryChannelLayer'.",
            )
    if backend is not None and name.endswith("RedisLocalChannelLayer"):
        yield file.finding(
            backend.lineno,
            "layer-backend",
            "RedisLocalChannelLayer kept requests on the machine of their client. Here it is the Redis layer, and "
            "workers on all machines take them.",
            f"Use {REDIS!r}, and run workers wherever there is room.",
        )
    if isinstance(config := items.get("CONFIG"), ast.Dict) and name.startswith("asgi_redis."):
        yield from _check_config(file, config)


def _check_config(file: SourceFile, config: ast.Dict) -> Iterator[Finding]:
    for key, value in _items(config):
        if key in SOCKET_KEYS:
            yield file.finding(
                value.lineno,
                "layer-config",
                f"The Redis layer takes no keyword {key!r} of its own.",
                f"Write 'connection_kwargs': {{{key!r}: …}}, which goes to redis-py.",
            )
        elif key not in LAYER_KEYS:
            yield file.finding(
                value.lineno,
                "layer-config",
                f"The Redis layer has no keyword {key!r}.",
                f"Its keywords are {', '.join(sorted(LAYER_KEYS))}.",
            )
        elif key == "hosts" and isinstance(value, ast.Constant):
            yield file.finding(
                value.lineno, "layer-config", "hosts is a list.", "Write brackets around it: ['redis://…']."
            )
