"""Spans of messages that are sent inside another span, such as the span of a consumer."""

from __future__ import annotations

from typing import Any

from opentelemetry.trace import SpanKind, get_current_span, get_tracer

from channels_classic.layers import BaseChannelLayer
from channels_classic.layers.names import kind_name
from channels_classic.log_context import client_id
from channels_classic.tracing.field import with_context
from channels_classic.version import __version__

tracer = get_tracer("channels_classic", __version__)
"""Makes all spans of this project. It takes effect when the process sets a ``TracerProvider``."""

SYSTEM = {"messaging.system": "channels_classic"}


def client_attributes(reply_channel: Any) -> dict[str, str]:
    """The id of a client, as the log has it, as an attribute of a span."""
    return {"channels_classic.client": client_id(reply_channel)} if isinstance(reply_channel, str) else {}


def stamp(name: str, content: dict[str, Any], to_group: bool = False) -> dict[str, Any]:
    """Make a span for a message that is sent inside another span. The message carries its context.

    Arguments:
        name: the name of the channel, or of the group if ``to_group``.
    """
    around = get_current_span()
    if not around.get_span_context().is_valid:
        return content
    if not around.get_span_context().trace_flags.sampled:
        return with_context(content, around)
    attributes = {**SYSTEM, "messaging.operation.type": "send", "messaging.destination.name": name}
    what = name
    if to_group:
        what = "group"
    elif (kind := kind_name(name)) != name:
        # Each client has its own channel, which are too many for names of spans.
        what = "reply" if kind.endswith("!") else kind
        attributes |= {"messaging.destination.name": kind, **client_attributes(name)}
    with tracer.start_as_current_span(f"send {what}", kind=SpanKind.PRODUCER, attributes=attributes) as span:
        return with_context(content, span)


def trace_sends() -> None:
    """Make each message that this process sends carry the context of its trace.

    Workers with ``--tracing`` do this. Call it in other processes that send messages, such as those of Celery.
    """
    BaseChannelLayer.stamp = staticmethod(stamp)
