from unittest import TestCase

from channels_classic.layers import InMemoryChannelLayer
from channels_classic.layers.conformance import ConformanceTests


class TestConformance(ConformanceTests, TestCase):
    def make_layer(self, **config):
        return InMemoryChannelLayer(**config)
