"""Signals around consumers and workers (specification, section 7)."""

from __future__ import annotations

from django.dispatch import Signal

# None of them caches its receivers: a test may send one with the sender None, which caching does not allow.

consumer_started = Signal()
"""Sent before a consumer runs. The keyword ``environ`` is empty; Django's ``request_started`` has it, too."""

consumer_finished = Signal()
"""Sent after a consumer has returned or raised."""

worker_ready = Signal()
"""Sent once per worker (thread), before it begins to receive; the sender is the worker."""

worker_process_ready = Signal()
"""Sent once per process before its first worker starts."""
