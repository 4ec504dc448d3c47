"""Django's caches, which every message of a worker's thread shares."""

from __future__ import annotations

from contextlib import suppress

from django.core.cache import caches


def keep_caches() -> None:
    """Let all messages that this thread will handle use the same cache objects.

    Django keeps them in the context, and each message has a context of its own: a cache that was first used there
    would have to connect to its server for every message.
    """
    for alias in caches:
        with suppress(Exception):  # one that cannot be made is an error only for code that uses it
            caches[alias]
