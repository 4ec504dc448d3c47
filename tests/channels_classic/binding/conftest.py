"""Bindings for the length of a test."""

from __future__ import annotations

import pytest

from channels_classic.binding import base, changes


@pytest.fixture(autouse=True)
def no_bindings_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test binds is bound in that test only."""
    monkeypatch.setattr(changes, "_listeners", {})


@pytest.fixture(autouse=True)
def no_legacy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever other tests of this process have imported."""
    monkeypatch.setattr(base, "legacy_is_active", lambda: False)
