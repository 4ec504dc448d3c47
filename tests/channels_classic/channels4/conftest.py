"""Channels 4 beside this package."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.channels_4 import on_the_path


@pytest.fixture(scope="module")
def channels_4() -> Iterator[None]:
    """Channels 4 can be imported in this process."""
    with on_the_path():
        yield
