"""Workers take messages, run consumers, and send what those sent (specification, section 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from channels_classic.lazy import lazy_names

if TYPE_CHECKING:
    from worker.group import WorkerGroup as WorkerGroup
    from worker.loop import Worker as Worker

__all__ = ["Worker", "WorkerGroup"]

# These are imported late, because the command line has to set Django up first.
__getattr__ = lazy_names(__name__, {"Worker": "worker.loop", "WorkerGroup": "worker.group"})
