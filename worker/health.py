"""How the workers of a process are: whether their threads live, and whether they are about to stop."""

from __future__ import annotations

from worker.group import WorkerGroup


class WorkerHealth:
    """What ``Monitor`` asks.

    Arguments:
        group: of the workers.
    """

    needs_workers = False

    def __init__(self, group: WorkerGroup) -> None:
        self._group = group

    @property
    def is_draining(self) -> bool:
        """Whether the workers were told to stop."""
        return any(worker.termed for worker in self._group.workers)

    def dead_parts(self) -> list[str]:
        """The threads that have ended although nobody told them to."""
        return [] if self.is_draining else self._group.dead_threads()
