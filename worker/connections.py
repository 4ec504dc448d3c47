"""Database connections around consumers: what Django does around requests (specification, section 7)."""

from __future__ import annotations

import threading
from typing import Any

from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connections, reset_queries
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
        _thread.in_transaction = _in_transaction()  # a test's own, if it runs the worker in it


def after_consumer(channel: str) -> None:
    """Close the connections of this thread that are past their age; what the consumer did stands in any case.

    A transaction that the consumer left open is rolled back: the next client's consumer must not be part of it.

    Arguments:
        channel: where the message came from, for the log.
    """
    if getattr(_thread, "has_connections", False):
        try:
            for alias in _in_transaction() - getattr(_thread, "in_transaction", set()):
                logger.error("A consumer on %r left a database transaction open. It is rolled back.", channel)
                connections[alias].close()
                del connections[alias]
            close_old_connections()
        except Exception:
            logger.exception("A database connection could not be closed:")


def shared_connections() -> dict[str, Any]:
    """The connections of this thread that may be used in any thread, by alias: those of a test."""
    return {each.alias: each for each in connections.all(initialized_only=True) if each.allow_thread_sharing}


def _in_transaction() -> set[str]:
    """The aliases of this thread's connections that are in a transaction, those apart that threads share."""
    return {
        connection.alias
        for connection in connections.all(initialized_only=True)
        if connection.in_atomic_block and not connection.allow_thread_sharing
    }


def not_around_requests() -> None:
    """Let Django leave that to the worker: for a process in which every view is a consumer's."""
    request_started.disconnect(reset_queries)
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
