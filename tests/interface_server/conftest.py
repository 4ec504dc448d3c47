"""Interface servers on real ports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from channels_classic.layers import BaseChannelLayer
from tests.interface_server.hosted import Hosted


@pytest.fixture(scope="module")
def shared() -> Iterator[Hosted]:
    """The server of a module, for tests that want nothing special of it."""
    with Hosted() as hosted:
        yield hosted


@pytest.fixture
def hosted(shared: Hosted) -> Hosted:
    """The server of the module, with an empty layer."""
    shared.layer.flush()
    return shared


@pytest.fixture
def start() -> Iterator[Callable[..., Hosted]]:
    """Starts a server of the test's own, and closes its layer when it has ended."""
    with ExitStack() as stack:

        def start(layer: BaseChannelLayer | None = None, **options: Any) -> Hosted:
            hosted = Hosted(layer, **options)
            stack.callback(hosted.layer.close)
            return stack.enter_context(hosted)

        yield start


StartServer = Callable[..., Hosted]
