"""Spans of clients: their requests, handshakes and frames, and what is delivered to them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from time import time_ns
from typing import Any

from opentelemetry.context import Context
from opentelemetry.propagate import extract
from opentelemetry.propagators.textmap import Getter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, get_current_span

from channels_classic.layers import Received
from channels_classic.log import printable
from channels_classic.log_context import client_id
from channels_classic.redaction import masked_query
from channels_classic.tracing import FIELD
from channels_classic.tracing.field import NOT_RECORDED, carried_by, with_context
from channels_classic.tracing.sends import SYSTEM, client_attributes, stamp, tracer
from interface_server.asgi_types import Scope
from interface_server.context import AccessLog

MAX_OPEN = 10_000
"""The most requests and handshakes with spans at the same time. A handshake that its client breaks off never ends
its span, so the oldest one is dropped when there are more."""

LASTING = ("http.request", "websocket.connect")
"""The messages whose spans last until the client has its answer."""

MOMENTARY = ("websocket.receive", "websocket.disconnect")

ENDS = ("http", "websocket.connected", "websocket.rejected")
"""The events of the access log that end these spans."""

SWITCHING_PROTOCOLS = 101

BAGGAGE = b"baggage"

LONGEST = 512
"""The most bytes of a header with the context of a trace. W3C Trace Context asks for as many."""

Headers = Sequence[Sequence[bytes]]


class HeaderGetter(Getter[Headers]):
    """Lets OpenTelemetry read the headers of a message, except those that have no meaning here.

    OpenTelemetry logs the parts that it cannot read. So a client could fill the log: with its baggage, which is
    not passed on anyway, or with long values.
    """

    def get(self, carrier: Headers, key: str) -> list[str] | None:
        """The values of a header."""
        name = key.lower().encode("latin-1")
        if name == BAGGAGE:
            return None
        values = [value.decode("latin-1") for header, value in carrier if header == name]
        text = "".join(values)
        return values if values and len(text) <= LONGEST and text.isascii() else None

    def keys(self, carrier: Headers) -> list[str]:
        """The names of all headers."""
        return [name.decode("latin-1") for name, _ in carrier]


HEADERS = HeaderGetter()


class ClientTracing:
    """The spans of the clients of one interface server.

    ``stamp`` begins them when a message of a client is made, and puts their context into the message. Events of
    the access log end those that wait for an answer.
    """

    def __init__(self) -> None:
        self._open: OrderedDict[str, Span] = OrderedDict()

    # From clients.

    def stamp(self, name: str, content: dict[str, Any], to_group: bool = False) -> dict[str, Any]:
        """See ``BaseChannelLayer.stamp``."""
        if get_current_span().get_span_context().is_valid:
            return stamp(name, content, to_group)  # of a consumer beside this server; or our host traces, too
        if name in LASTING and "headers" in content:
            span = self._begin(name, content)
        elif name in MOMENTARY and "order" in content:  # a will has none
            span = tracer.start_span(name, Context(), SpanKind.SERVER, _attributes(content))
            span.end()
        else:
            return content
        return with_context(content, span)

    def _begin(self, name: str, content: dict[str, Any]) -> Span:
        parent = extract(content["headers"], Context(), HEADERS)
        attributes = _attributes(content) | {
            "url.scheme": content["scheme"],
            "network.protocol.version": content.get("http_version", "1.1"),
        }
        if query := content["query_string"]:
            attributes["url.query"] = masked_query(query.decode("latin-1"))
        if "client" in content:
            attributes["client.address"] = str(content["client"][0])
        if "method" in content:
            attributes["http.request.method"] = content["method"]
        span = tracer.start_span(content.get("method", name), parent, SpanKind.SERVER, attributes)
        if not span.is_recording():
            return span
        self._open[client_id(content["reply_channel"])] = span
        if len(self._open) > MAX_OPEN:
            self._open.popitem(last=False)
        return span

    def around(self, access_log: AccessLog | None) -> AccessLog:
        """Make an access log that also ends spans."""

        def log_access(event: str, scope: Scope, details: dict[str, Any]) -> None:
            if event in ENDS and (span := self._open.pop(details["client"], None)) is not None:
                _end(span, event, details)
            if access_log is not None:
                access_log(event, scope, details)

        return log_access

    # To clients.

    def received(self, batch: Sequence[Received]) -> None:
        """Make a span, from the time of sending, for each message that was handed to clients; one for a group."""
        members: dict[int, list[Received]] = {}
        for received in batch:
            if received.content.get(FIELD, NOT_RECORDED) != NOT_RECORDED:
                members.setdefault(id(received.content), []).append(received)
        for same in members.values():
            if (carried := carried_by(same[0].content)) is None:
                continue
            attributes: dict[str, str | int] = {
                **SYSTEM,
                "messaging.operation.type": "receive",
                "channels_classic.clients": len(same),
            }
            if len(same) == 1:
                attributes |= client_attributes(same[0].channel)
            tracer.start_span(
                "deliver", carried.context, SpanKind.CONSUMER, attributes, start_time=carried.sent
            ).end(time_ns())


def _attributes(content: dict[str, Any]) -> dict[str, Any]:
    return {"url.path": printable(content["path"]), **client_attributes(content["reply_channel"])}


def _end(span: Span, event: str, details: dict[str, Any]) -> None:
    if event == "websocket.rejected":
        span.set_attribute("channels_classic.rejected", True)  # by a consumer, or because nobody could answer
    else:
        status = details.get("status", SWITCHING_PROTOCOLS)
        span.set_attribute("http.response.status_code", status)
        if status >= 500:
            span.set_status(Status(StatusCode.ERROR))
    span.end()
