"""Workers: messages in, consumers run, their sends out (specification, section 7)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from worker.group import WorkerGroup as WorkerGroup
    from worker.loop import Worker as Worker

__all__ = ["Worker", "WorkerGroup"]

# Handed on when first used: the command line has to set Django up before they can be imported.
_HOMES = {"Worker": "worker.loop", "WorkerGroup": "worker.group"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
