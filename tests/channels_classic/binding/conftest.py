"""Bindings for the length of a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db.models.signals import post_delete, post_save, pre_delete, pre_save

from channels_classic.binding import base, changes

SIGNALS = (pre_save, post_save, pre_delete, post_delete)


@pytest.fixture(autouse=True)
def no_bindings_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Remove the bindings of a test after it."""
    monkeypatch.setattr(changes, "_listeners", {})
    monkeypatch.setattr(base.BindingMetaclass, "binding_classes", [*base.BindingMetaclass.binding_classes])
    former = [list(signal.receivers) for signal in SIGNALS]
    yield
    for signal, receivers in zip(SIGNALS, former, strict=True):
        with signal.lock:
            signal.receivers = receivers
            signal.sender_receivers_cache.clear()


@pytest.fixture(autouse=True)
def no_legacy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo the legacy import of other tests in this process."""
    monkeypatch.setattr(base, "legacy_is_active", lambda: False)
