"""Looks into the spans that were recorded."""

from __future__ import annotations

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.interface_server.hosted import eventually


class Spans:
    """The spans that have ended so far."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    @property
    def all(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.all if span.name == name]

    def one(self, name: str, trace_id: int | None = None) -> ReadableSpan:
        """The only span of that name, in one trace or in all; waits for it."""

        def find() -> list[ReadableSpan]:
            return [span for span in self.named(name) if trace_id in (None, span.context.trace_id)]

        (span,) = eventually(find)
        found: ReadableSpan = span
        return found

    def tree(self, trace_id: int) -> dict[str, str]:
        """For each span of a trace, the name of its parent; empty for the first one."""
        spans = {span.context.span_id: span for span in self.all if span.context.trace_id == trace_id}
        return {
            span.name: spans[span.parent.span_id].name if span.parent and span.parent.span_id in spans else ""
            for span in spans.values()
        }
