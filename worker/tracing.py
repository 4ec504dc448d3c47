"""Spans of consumers, and of the time for which their messages have waited."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from time import time_ns
from typing import Any

from opentelemetry.context import Context, attach
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context

from channels_classic.dotted import name_of
from channels_classic.log_context import message_at_work
from channels_classic.routing import Router
from channels_classic.signals import consumer_finished, consumer_started
from channels_classic.tracing.field import UNRECORDED, carried_by, is_unrecorded
from channels_classic.tracing.provider import recording
from channels_classic.tracing.sends import SYSTEM, client_attributes, trace_sends, tracer
from worker.consume import log_error


class ConsumerTracing:
    """Makes a span of each consumer that runs, as a child of the span that sent its message.

    Arguments:
        router: finds the consumer of a message.
    """

    def __init__(self, router: Router) -> None:
        self._router = router
        self._running: ContextVar[Span | None] = ContextVar("span", default=None)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Make spans while the block runs. ``failed`` has to be called with the errors of consumers."""
        trace_sends()
        consumer_started.connect(self._begin, weak=False, dispatch_uid=self)
        consumer_finished.connect(self._end, weak=False, dispatch_uid=self)
        try:
            with recording():
                yield
        finally:
            consumer_started.disconnect(dispatch_uid=self)
            consumer_finished.disconnect(dispatch_uid=self)

    def failed(self, error: BaseException, text: str, *args: object) -> None:
        """Do as ``log_error``, and note the error in the span."""
        span = self._running.get()
        if span is not None:
            with suppress(Exception):  # the text of the exception is made by code of the project
                span.record_exception(error)
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
        log_error(error, text, *args)

    def _begin(self, **kwargs: Any) -> None:
        message = message_at_work.get()
        if is_unrecorded(message.content):
            attach(UNRECORDED)
            return
        match = self._router.match(message)
        attributes = {
            **SYSTEM,
            "messaging.destination.name": message.channel.name,
            **client_attributes(message.get("reply_channel")),
        }
        parent = Context()
        if (carried := carried_by(message.content)) is not None:
            parent = carried.context
            queue = tracer.start_span(
                f"queue {message.channel.name}", parent, attributes=attributes, start_time=carried.sent
            )
            queue.end(time_ns())
        span = tracer.start_span(
            name_of(match[0]) if match else message.channel.name,
            parent,
            SpanKind.CONSUMER,
            {**attributes, "messaging.operation.type": "process"},
        )
        self._running.set(span)
        # This is the context of this consumer only.
        attach(set_span_in_context(span, parent))

    def _end(self, **kwargs: Any) -> None:
        span = self._running.get()
        if span is not None:
            span.end()
