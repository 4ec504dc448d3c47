"""Runs what waits for a commit, in a test whose transaction is never committed."""

from __future__ import annotations

from django.db import connections

from channels_classic.binding.commits import is_test_cases, tell_finished


def tell_changes() -> None:
    """Let bindings announce changes as after a commit, if only the transaction of the test case is open.

    Other functions that wait for a commit are not called. Django's ``captureOnCommitCallbacks`` is for those.
    """
    for connection in connections.all(initialized_only=True):
        if connection.in_atomic_block and is_test_cases(connection):
            tell_finished(connection)
