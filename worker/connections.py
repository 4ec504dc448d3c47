"""Treats database connections around consumers as Django does around requests (specification, section 7)."""

from __future__ import annotations

import threading
from typing import Any

from django.db import close_old_connections, connections, reset_queries
from django.db.backends.signals import connection_created

from channels_classic.log import logger


class _Thread(threading.local):
    """What is known about the connections of a thread."""

    # Defaults of the class, because to ask a ``threading.local`` for an attribute that is missing takes 1.5 µs.
    has_connections = False
    in_transaction: frozenset[str] = frozenset()


of_thread = _Thread()
"""What is known about the connections of the running thread."""


def _note_connection(**kwargs: Any) -> None:
    of_thread.has_connections = True


connection_created.connect(_note_connection, dispatch_uid="worker.connections")


def before_consumer() -> None:
    """Close the connections of this thread that are past their age, and clear the log of queries."""
    reset_queries()
    _close_old_connections()
    # A test that runs the worker in its own thread has a transaction open, which is not the consumer's.
    of_thread.in_transaction = _in_transaction()


def after_consumer(channel: str) -> None:
    """Close the connections of this thread that are past their age. An error here does not undo the consumer.

    A transaction that the consumer left open is rolled back: the next client's consumer must not be part of it.

    Arguments:
        channel: the channel of the message, for the log.
    """
    try:
        for alias in _in_transaction() - of_thread.in_transaction:
            logger.error("A consumer on %r left a database transaction open. It is rolled back.", channel)
            connections[alias].close()
            del connections[alias]
    except Exception:
        logger.exception("A database connection could not be closed:")
    _close_old_connections()


def _close_old_connections() -> None:
    """Close the connections that are past their age or broken. An error here is none of any consumer."""
    try:
        close_old_connections()
    except Exception:
        logger.exception("A database connection could not be closed:")


def shared_connections() -> dict[str, Any]:
    """The connections of this thread, by alias, that any thread may use: those of a test."""
    return {each.alias: each for each in connections.all(initialized_only=True) if each.allow_thread_sharing}


def _in_transaction() -> frozenset[str]:
    """The aliases of this thread's connections that are in a transaction, without those that threads share."""
    return frozenset(
        connection.alias
        for connection in connections.all(initialized_only=True)
        if connection.in_atomic_block and not connection.allow_thread_sharing
    )
