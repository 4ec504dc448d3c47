"""Interface servers on real ports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

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
    """Starts a server of the test's own."""
    with ExitStack() as stack:
        yield lambda layer=None, **options: stack.enter_context(Hosted(layer, **options))


StartServer = Callable[..., Hosted]
