"""Django's caches, shared by all messages of a worker thread."""

from __future__ import annotations

from contextlib import suppress

from django.core.cache import caches


def keep_caches() -> None:
    """Let all messages of this thread use the same cache objects.

    Django keeps caches in the context, and each message has its own context. Without this, a cache would connect
    to its server again for every message.
    """
    for alias in caches:
        with suppress(Exception):  # a cache that cannot be made is an error only for code that uses it
            caches[alias]
