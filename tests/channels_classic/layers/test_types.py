"""The types that all parts of a channel layer share."""

from __future__ import annotations

from typing import Any

import pytest

from channels_classic.layers import types
from channels_classic.layers.redis import envelope, queues


@pytest.mark.parametrize(
    ("quick", "kind"),
    [
        (types.quick_client, types.Client),
        (types.quick_delivery, types.Delivery),
        (types.quick_received, types.Received),
        (queues.quick_entry, queues.Entry),
        (queues.quick_push, queues.Push),
        (envelope.quick_envelope, envelope.Envelope),
    ],
)
def test_a_quick_constructor_makes_the_same(quick: Any, kind: Any) -> None:
    values = tuple(range(len(kind._fields)))
    made = quick(values)
    assert type(made) is kind
    assert made == kind(*values)
    assert made._asdict() == kind(*values)._asdict()
