"""Signals around consumers and workers (specification, section 7)."""

from __future__ import annotations

import threading
from typing import Any

from django.core.signals import request_finished, request_started
from django.db import close_old_connections, reset_queries
from django.db.backends.signals import connection_created
from django.dispatch import Signal

consumer_started = Signal(use_caching=True)
"""Sent before a consumer runs; keyword ``environ`` is empty, as it is for Django's ``request_started``."""

consumer_finished = Signal(use_caching=True)
"""Sent after a consumer ran, whether it returned or raised."""

worker_ready = Signal()
"""Sent once per worker (thread) that is about to receive; the sender is the worker."""

worker_process_ready = Signal()
"""Sent once per process before its first worker starts."""


_thread = threading.local()


def _note_connection(**kwargs: Any) -> None:
    _thread.has_connections = True


CLOSE_CONNECTIONS = "channels_classic.close_connections"
"""The ``dispatch_uid`` of ``close_connections``."""


def close_connections(**kwargs: Any) -> None:
    """Close the database connections that are past their age, as Django does around requests."""
    # Most consumers of a chat or an echo never touch the database, and to ask Django takes as long as they do.
    if getattr(_thread, "has_connections", False):
        close_old_connections(**kwargs)


def look_after_connections_once() -> None:
    """Do so around consumers only, not around requests once more: for a process in which views are consumers."""
    request_started.disconnect(reset_queries)
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    consumer_started.connect(_reset_queries, dispatch_uid="channels_classic.reset_queries")


def _reset_queries(**kwargs: Any) -> None:
    if getattr(_thread, "has_connections", False):
        reset_queries(**kwargs)


connection_created.connect(_note_connection, dispatch_uid="channels_classic.connection_created")
consumer_started.connect(close_connections, dispatch_uid=CLOSE_CONNECTIONS)
consumer_finished.connect(close_connections, dispatch_uid=CLOSE_CONNECTIONS)
