"""The field of a message that carries the context of a trace. Readers that do not trace ignore it.

It has the headers of OpenTelemetry's propagators, above all ``traceparent`` (W3C Trace Context), and the time at
which the message was sent, so that its reader knows how long it has waited.

Whether a trace is recorded is decided once, where it begins. On a busy site most are not. Their messages only have
the mark ``NOT_RECORDED``, and nobody makes another span for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import time_ns
from typing import Any, NamedTuple

from opentelemetry.context import Context
from opentelemetry.propagate import extract, inject
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, set_span_in_context

from channels_classic.tracing import FIELD

NOT_RECORDED = 0
"""The field of a message that belongs to a trace which is not recorded."""

UNRECORDED = set_span_in_context(NonRecordingSpan(SpanContext(trace_id=1, span_id=1, is_remote=True)), Context())
"""The context in which such a message is handled. Samplers that follow the parent record nothing in it."""


class Carried(NamedTuple):
    """The content of the field.

    Arguments:
        context: the context of the span that sent the message.
        sent: the Unix time of sending in nanoseconds, by the clock of the sender.
    """

    context: Context
    sent: int


def with_context(content: Mapping[str, Any], span: Span) -> dict[str, Any]:
    """A copy of a message with the context of a span, and the present time.

    If the span is not recorded, the copy has the mark instead.
    """
    if not span.get_span_context().trace_flags.sampled:
        return {**content, FIELD: NOT_RECORDED}
    headers: dict[str, str] = {}
    inject(headers, set_span_in_context(span))
    return {**content, FIELD: {"headers": headers, "sent": time_ns()}}


def is_unrecorded(content: Mapping[str, Any]) -> bool:
    """Whether a message belongs to a trace that is not recorded."""
    return content.get(FIELD) == NOT_RECORDED


def carried_by(content: Mapping[str, Any]) -> Carried | None:
    """Read the field of a message; ``None`` if there is none, or it has another form."""
    match content.get(FIELD):
        case {"headers": dict() as headers, "sent": int() as sent}:
            texts = {name: value for name, value in headers.items() if isinstance(value, str)}
            # The clock of another machine may be ahead.
            return Carried(extract(texts, Context()), max(0, min(sent, time_ns())))
    return None
