"""``Monitor``: watches the parts of this process, and reports their status."""

from __future__ import annotations

from typing import Protocol

from channels_classic.layers import BaseChannelLayer, LayerUnavailable
from channels_classic.monitoring.layer_view import LayerView, View
from channels_classic.monitoring.metrics import of_this_process
from channels_classic.monitoring.status import Status


class Health(Protocol):
    """The health of a program. Any thread may call this."""

    def dead_parts(self) -> list[str]:
        """Descriptions of the parts that no longer work."""

    def obstacles(self) -> list[str]:
        """Descriptions of what keeps the program from serving clients now, although all its parts work."""

    @property
    def is_draining(self) -> bool:
        """Whether the program is stopping."""

    needs_workers: bool
    """Whether the program can serve only if a worker is alive somewhere."""


class Monitor:
    """Reports the status of this process.

    Arguments:
        layer: the channel layer of the process.
    """

    def __init__(self, layer: BaseChannelLayer) -> None:
        self._view = LayerView(layer)
        self._watched: list[Health] = []

    def watch(self, health: Health) -> None:
        """Watch the health of a program from now on. Before the first call, the process is not ready."""
        self._watched.append(health)

    def status(self) -> Status:
        """The current status of the process."""
        dead = [part for health in self._watched for part in health.dead_parts()]
        draining = any(health.is_draining for health in self._watched)
        view, unready = None, [text for health in self._watched for text in health.obstacles()]
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
