"""What ``channels_classic.test`` hands on, and its older name."""

from __future__ import annotations

import pytest

import channels_classic.test
import channels_classic.tests
from channels_classic.test import (
    HttpClient,
    WSClient,
)


def test_the_older_name() -> None:
    assert channels_classic.tests is channels_classic.test
    assert HttpClient is WSClient


def test_names() -> None:
    for name in channels_classic.test.__all__:
        assert getattr(channels_classic.test, name).__name__.lower().replace("_", "")
    with pytest.raises(AttributeError, match="no attribute 'Klient'"):
        channels_classic.test.Klient  # noqa: B018
