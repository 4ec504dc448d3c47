"""What Django does around each request, and a process need not do if consumers run all its views."""

from __future__ import annotations

from contextlib import suppress

from django.conf import settings
from django.core.cache import close_caches
from django.core.cache.backends.base import BaseCache
from django.core.handlers.base import reset_urlconf
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, reset_queries
from django.utils.module_loading import import_string


def not_around_requests() -> None:
    """Disconnect receivers of Django that do what is done anyway, or nothing: they take as long as a short view.

    ``connections.py`` treats database connections around every consumer. The URLconf of a request ends with the
    context of its message. Caches are closed only if one of them has something to close.
    """
    request_started.disconnect(reset_queries)
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    request_finished.disconnect(reset_urlconf)
    if not _have_something_to_close():
        request_finished.disconnect(close_caches)


def _have_something_to_close() -> bool:
    """Whether a cache of the settings does anything at the end of a request, as those of Memcached do."""
    for cache in settings.CACHES.values():
        with suppress(Exception):  # a cache that cannot be made is an error only for code that uses it
            if import_string(cache["BACKEND"]).close is not BaseCache.close:
                return True
    return False
