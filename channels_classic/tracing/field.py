"""The field of a message that carries the context of a trace. Readers that do not trace ignore it.

It has the headers of OpenTelemetry's propagators, above all ``traceparent`` (W3C Trace Context), and the time at
which the message was sent, so that its reader knows how long it has waited.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import time_ns
from typing import Any, NamedTuple

from opentelemetry.context import Context
from opentelemetry.propagate import extract, inject
from opentelemetry.trace import Span, set_span_in_context

from channels_classic.tracing import FIELD


class Carried(NamedTuple):
    """The content of the field.

    Arguments:
        context: the context of the span that sent the message.
        sent: the Unix time of sending in nanoseconds, by the clock of the sender.
    """

    context: Context
    sent: int


def with_context(content: Mapping[str, Any], span: Span) -> dict[str, Any]:
    """A copy of a message with the context of a span, and the present time."""
    headers: dict[str, str] = {}
    inject(headers, set_span_in_context(span))
    return {**content, FIELD: {"headers": headers, "sent": time_ns()}}


def carried_by(content: Mapping[str, Any]) -> Carried | None:
    """Read the field of a message; ``None`` if there is none, or it has another form."""
    match content.get(FIELD):
        case {"headers": dict() as headers, "sent": int() as sent}:
            texts = {name: value for name, value in headers.items() if isinstance(value, str)}
            # The clock of another machine may be ahead.
            return Carried(extract(texts, Context()), max(0, min(sent, time_ns())))
    return None
