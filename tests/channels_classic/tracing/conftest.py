"""A provider for this process that keeps the spans in memory."""

from __future__ import annotations

from functools import cache

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from channels_classic.layers import BaseChannelLayer
from tests.channels_classic.tracing.spans import Spans


@cache
def exporter() -> InMemorySpanExporter:
    """The exporter of this process, which can have one provider only."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Spans:
    """The spans of one test."""
    monkeypatch.setattr(BaseChannelLayer, "stamp", None)
    exporter().clear()
    return Spans(exporter())
