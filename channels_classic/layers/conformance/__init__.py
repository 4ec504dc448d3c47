"""Tests of what every channel layer must do, for the layers of this project and for yours.

The contract is sections 2 and 3 of the specification, and for the batches the docstrings of ``LayerContract`` and
``ProcessCalls``. Mix ``ConformanceTests`` into a ``unittest.TestCase``, and define how your layer is made. pytest
and ``python -m unittest`` both run it::

    from unittest import TestCase

    from channels_classic.layers.conformance import ConformanceTests
    from my_project.layers import CarrierPigeonLayer

    class TestCarrierPigeonLayer(ConformanceTests, TestCase):
        def make_layer(self, **config):
            return CarrierPigeonLayer(loft="/tmp/test-loft", **config)

Tests of an extension that the layer does not list in ``extensions`` are skipped. Tests of several processes are
skipped if the layer is ``local_only``.
"""

from __future__ import annotations

from channels_classic.layers.conformance.batches import BatchTests
from channels_classic.layers.conformance.capacity import CapacityTests
from channels_classic.layers.conformance.event_loops import EventLoopTests
from channels_classic.layers.conformance.expiry import ExpiryTests
from channels_classic.layers.conformance.flow import FlowTests
from channels_classic.layers.conformance.groups import GroupTests
from channels_classic.layers.conformance.in_flight import InFlightTests
from channels_classic.layers.conformance.messages import MessageTests
from channels_classic.layers.conformance.names import NameTests
from channels_classic.layers.conformance.ordering import OrderingTests
from channels_classic.layers.conformance.peers import PeerTests
from channels_classic.layers.conformance.queues import QueueTests
from channels_classic.layers.conformance.registry import RegistryTests
from channels_classic.layers.conformance.statistics import StatisticsTests
from channels_classic.layers.conformance.sweep import SweepTests
from channels_classic.layers.conformance.threads import ThreadTests
from channels_classic.layers.conformance.values import ValueTests

__all__ = ["ConformanceTests"]


class ConformanceTests(
    NameTests,
    MessageTests,
    QueueTests,
    CapacityTests,
    ExpiryTests,
    GroupTests,
    BatchTests,
    FlowTests,
    StatisticsTests,
    ThreadTests,
    EventLoopTests,
    PeerTests,
    OrderingTests,
    ValueTests,
    InFlightTests,
    RegistryTests,
    SweepTests,
):
    """All tests of the contract. Define ``make_layer`` and mix in a ``unittest.TestCase``."""
