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

    def obstacles(self) -> list[str]:
        """A text if no worker gets messages from the layer. It may be one that can only be read."""
        workers = self._group.workers
        is_cut_off = workers and all(worker.is_cut_off for worker in workers)
        return ["the workers get no messages from the channel layer"] if is_cut_off else []

    def dead_parts(self) -> list[str]:
        """The names of threads that have ended although nobody stopped them."""
        return [] if self.is_draining else self._group.dead_threads()
