"""What requests leave behind in the thread of a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.urls import clear_script_prefix


@pytest.fixture(autouse=True)
def _no_script_prefix() -> Iterator[None]:
    """Forget where the last request was mounted, or the URLs of later tests would begin with it."""
    yield
    clear_script_prefix()
