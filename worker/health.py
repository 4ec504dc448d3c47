"""The health of the workers of a process: whether their threads are alive, and whether they drain."""

from __future__ import annotations

from worker.group import WorkerGroup


class WorkerHealth:
    """The health of workers, for ``Monitor``.

    Arguments:
        group: the worker group.
    """

    needs_workers = False

    def __init__(self, group: WorkerGroup) -> None:
        self._group = group

    @property
    def is_draining(self) -> bool:
        """Whether the workers were told to stop."""
        return any(worker.termed for worker in self._group.workers)

    def dead_parts(self) -> list[str]:
        """The names of threads that have ended although nobody stopped them."""
        return [] if self.is_draining else self._group.dead_threads()
