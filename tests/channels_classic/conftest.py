"""What the tests of ``channels_classic`` share."""

from __future__ import annotations

import pytest

from channels_classic.layers import InMemoryChannelLayer


@pytest.fixture
def layer() -> InMemoryChannelLayer:
    """An empty channel layer."""
    return InMemoryChannelLayer()
