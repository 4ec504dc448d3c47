"""What the tests of ``channels_classic`` share."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from channels_classic.layers import InMemoryChannelLayer

# How long an example takes is the machine's affair, and no test fails for it.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")


@pytest.fixture
def layer() -> InMemoryChannelLayer:
    """An empty channel layer."""
    return InMemoryChannelLayer()
