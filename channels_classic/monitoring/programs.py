"""Runs the monitor of a program: of one process, or of a supervisor and its processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from channels_classic.layers import BaseChannelLayer
from channels_classic.monitoring.monitor import Monitor
from channels_classic.monitoring.server import MonitorServer
from channels_classic.monitoring.supervised import Processes, leave_last, socket_in


@contextmanager
def monitored(where: str | None, layer: BaseChannelLayer) -> Iterator[Monitor | None]:
    """Run a monitor of this process while the block runs.

    Arguments:
        where: the value of ``--monitor``; ``None`` for no monitor.

    Raises:
        BadMonitor: it cannot listen there.
    """
    if where is None:
        yield None
        return
    monitor = Monitor(layer)
    server = MonitorServer(where, monitor.status)
    try:
        yield monitor
    finally:
        server.close()


@contextmanager
def monitored_children(where: str | None, count: int) -> Iterator[str | None]:
    """Run a monitor of a supervisor's processes while the block runs. Yields the folder for their reports.

    Arguments:
        count: how many there should be.

    Raises:
        BadMonitor: it cannot listen there.
    """
    if where is None:
        yield None
        return
    processes = Processes(count)
    try:
        server = MonitorServer(where, processes.status)
        try:
            yield processes.folder
        finally:
            server.close()
    finally:
        processes.close()


@contextmanager
def monitored_child(folder: str | None, layer: BaseChannelLayer) -> Iterator[Monitor | None]:
    """Run a monitor of a process under a supervisor while the block runs.

    Arguments:
        folder: the folder from ``monitored_children``; ``None`` for no monitor.
    """
    if folder is None:
        yield None
        return
    with monitored(socket_in(folder), layer) as monitor:
        assert monitor is not None
        try:
            yield monitor
        finally:
            leave_last(folder, monitor.status())
