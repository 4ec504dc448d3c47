"""The field of a message that carries the context of a trace. Readers that do not trace ignore it.

It has the headers that OpenTelemetry's propagators write, ``traceparent`` above all (W3C Trace Context), and the
time at which the message was sent, so that its reader knows how long it has waited.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import time_ns
from typing import Any, NamedTuple

from opentelemetry.context import Context
from opentelemetry.propagate import extract, inject
from opentelemetry.trace import Span, set_span_in_context

FIELD = "__trace__"


class Carried(NamedTuple):
    """What a message carries.

    Arguments:
        context: of the span that sent it.
        sent: when (Unix time, nanoseconds), by the clock of its sender.
    """

    context: Context
    sent: int


def with_context(content: Mapping[str, Any], span: Span) -> dict[str, Any]:
    """A message that carries the context of a span, and is sent now."""
    headers: dict[str, str] = {}
    inject(headers, set_span_in_context(span))
    return {**content, FIELD: {"headers": headers, "sent": time_ns()}}


def carried_by(content: Mapping[str, Any]) -> Carried | None:
    """What a message carries; ``None`` if its sender did not trace, or wrote something else there."""
    match content.get(FIELD):
        case {"headers": dict() as headers, "sent": int() as sent}:
            texts = {name: value for name, value in headers.items() if isinstance(value, str)}
            # The clock of another machine may be ahead.
            return Carried(extract(texts, Context()), max(0, min(sent, time_ns())))
    return None
