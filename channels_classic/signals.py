"""Signals around consumers and workers (specification, section 7)."""

from __future__ import annotations

from typing import Any

from django.db import close_old_connections
from django.dispatch import Signal

consumer_started = Signal()
"""Sent before a consumer runs; keyword ``environ`` is empty, as it is for Django's ``request_started``."""

consumer_finished = Signal()
"""Sent after a consumer ran, whether it returned or raised."""

worker_ready = Signal()
"""Sent once per worker (thread) that is about to receive; the sender is the worker."""

worker_process_ready = Signal()
"""Sent once per process before its first worker starts."""


def _close_old_connections(**kwargs: Any) -> None:
    close_old_connections(**kwargs)


consumer_started.connect(_close_old_connections, dispatch_uid="channels_classic.consumer_started")
consumer_finished.connect(_close_old_connections, dispatch_uid="channels_classic.consumer_finished")
