"""Workers: messages in, consumers run, their sends out (specification, section 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from channels_classic.lazy import lazy_names

if TYPE_CHECKING:
    from worker.group import WorkerGroup as WorkerGroup
    from worker.loop import Worker as Worker

__all__ = ["Worker", "WorkerGroup"]

# The command line has to set Django up before they can be imported.
__getattr__ = lazy_names(__name__, {"Worker": "worker.loop", "WorkerGroup": "worker.group"})
