"""The headers of clients that OpenTelemetry reads."""

from __future__ import annotations

import pytest
from opentelemetry.context import Context
from opentelemetry.propagate import extract
from opentelemetry.trace import get_current_span

from interface_server.tracing import HEADERS

PARENT = (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


@pytest.mark.parametrize(
    "header",
    [
        (b"baggage", b"key=" + b"v" * 9000),
        (b"baggage", b"=," * 4000),
        (b"baggage", b"caf\xe9=\x9b31m"),
        (b"tracestate", b"a=" + b"v" * 9000),
        (b"tracestate", b"a=\x9b31m"),
        (b"tracestate", b"=," * 4000),
    ],
    ids=str,
)
def test_a_client_cannot_fill_the_log(header: tuple[bytes, bytes], caplog: pytest.LogCaptureFixture) -> None:
    context = extract([PARENT, header], Context(), HEADERS)
    assert get_current_span(context).get_span_context().trace_id == 0x0AF7651916CD43DD8448EB211C80319C
    assert caplog.text == ""


def test_the_state_of_a_trace() -> None:
    context = extract([PARENT, (b"tracestate", b"vendor=value")], Context(), HEADERS)
    assert get_current_span(context).get_span_context().trace_state == {"vendor": "value"}
