"""The oldest dialect in the process of the tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import channels_classic.legacy  # noqa: F401
from channels_classic import old_forms
from channels_classic.asgi import channel_layers
from channels_classic.layers import codec
from channels_classic.legacy import dialect

# The other tests in this process are of projects that are not old.
old_forms.accepted = codec.old_values = False


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the test registers is forgotten after it."""
    monkeypatch.setattr(dialect, "_registered", {})
    monkeypatch.setattr(channel_layers, "_first_routes", {})
    former = channel_layers.set("default", None)
    yield
    channel_layers.set("default", former)
