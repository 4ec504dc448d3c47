"""The signals around consumers and workers."""

from __future__ import annotations

import pytest
from django.dispatch import Signal

from channels_classic import signals


@pytest.mark.parametrize("name", ["consumer_started", "consumer_finished", "worker_ready", "worker_process_ready"])
def test_a_test_may_send_them_without_a_sender(name: str) -> None:
    signal: Signal = getattr(signals, name)
    senders: list[object] = []

    def receive(sender: object, **kwargs: object) -> None:
        senders.append(sender)

    signal.connect(receive)
    try:
        signal.send(sender=None)
    finally:
        signal.disconnect(receive)
    assert senders == [None]
