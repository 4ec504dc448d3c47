"""``Monitor``: looks after the parts of this process, and tells how they are."""

from __future__ import annotations

from typing import Protocol

from channels_classic.layers import BaseChannelLayer, LayerUnavailable
from channels_classic.monitoring.layer_view import LayerView, View
from channels_classic.monitoring.metrics import of_this_process
from channels_classic.monitoring.status import Status


class Health(Protocol):
    """A program's own view of how it is. Any thread may ask."""

    def dead_parts(self) -> list[str]:
        """The parts that do not work any more, for people."""

    @property
    def is_draining(self) -> bool:
        """Whether it was told to stop."""

    needs_workers: bool
    """Whether it can serve only if there is a worker somewhere."""


class Monitor:
    """Tells how this process is.

    Arguments:
        layer: of the process.
    """

    def __init__(self, layer: BaseChannelLayer) -> None:
        self._view = LayerView(layer)
        self._watched: list[Health] = []

    def watch(self, health: Health) -> None:
        """Ask this from now on: before there is one, the process is not ready yet."""
        self._watched.append(health)

    def status(self) -> Status:
        """How the process is now."""
        dead = [part for health in self._watched for part in health.dead_parts()]
        draining = any(health.is_draining for health in self._watched)
        view, unready = None, []
        try:
            view = self._view.look()
        except LayerUnavailable as error:
            unready.append(str(error))
        else:
            unready += self._lacks(view)
        return Status(dead, unready, draining, of_this_process(), self._view.samples(view))

    def _lacks(self, view: View) -> list[str]:
        if not self._watched:
            return ["it has not started yet"]
        needs_workers = any(health.needs_workers for health in self._watched)
        if needs_workers and self._view.knows_processes and not view.workers:
            return ["no worker is alive"]
        return []
