"""Database connections around consumers: what Django does around requests (specification, section 7)."""

from __future__ import annotations

import threading
from typing import Any

from django.core.signals import request_finished, request_started
from django.db import close_old_connections, reset_queries
from django.db.backends.signals import connection_created

from channels_classic.log import logger

_thread = threading.local()


def _note_connection(**kwargs: Any) -> None:
    _thread.has_connections = True


connection_created.connect(_note_connection, dispatch_uid="worker.connections")


def before_consumer() -> None:
    """Close the connections of this thread that are past their age, and forget the queries logged so far."""
    # Most consumers of a chat or an echo never touch the database, and to ask Django takes as long as they do.
    if getattr(_thread, "has_connections", False):
        reset_queries()
        close_old_connections()


def after_consumer() -> None:
    """Close the connections of this thread that are past their age; what the consumer did stands in any case."""
    if getattr(_thread, "has_connections", False):
        try:
            close_old_connections()
        except Exception:
            logger.exception("A database connection could not be closed:")


def not_around_requests() -> None:
    """Let Django leave that to the worker: for a process in which every view is a consumer's."""
    request_started.disconnect(reset_queries)
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
