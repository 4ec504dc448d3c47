"""``WorkerHealth`` notices a dead thread, and does not take a stop for a death."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.layers import InMemoryChannelLayer
from tests.interface_server.hosted import eventually
from worker.group import WorkerGroup
from worker.health import WorkerHealth


class Deadly(InMemoryChannelLayer):
    """Ends the thread of the heartbeat on demand."""

    is_deadly = False

    def beat(self, *args: Any, **options: Any) -> Any:
        if self.is_deadly and threading.current_thread().name == "heartbeat":
            raise SystemExit
        return super().beat(*args, **options)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_has_died() -> None:
    layer = Deadly()
    group = WorkerGroup(ChannelLayerWrapper(layer, "default", []), 2, signal_handlers=False)
    health = WorkerHealth(group)
    assert health.dead_parts() == []
    group.start()
    try:
        assert health.dead_parts() == []
        assert not health.is_draining
        layer.is_deadly = True
        eventually(lambda: health.dead_parts() == ["the thread heartbeat"])
    finally:
        layer.is_deadly = False
        group.stop()
    assert health.is_draining
    assert health.dead_parts() == []
