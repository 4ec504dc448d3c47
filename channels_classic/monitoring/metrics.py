"""The metrics: their names, the values of this process, and their text for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

from channels_classic.counters import BUCKETS, counters
from channels_classic.layers.traffic import traffic
from channels_classic.monitoring.status import Samples, Value

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Family(NamedTuple):
    """A metric.

    Arguments:
        kind: the type in Prometheus. The names of counters get ``_total`` at their end.
        text: the help text.
        labels: the names of the labels.
    """

    kind: Literal["counter", "gauge", "histogram"]
    text: str
    labels: tuple[str, ...] = ()


FAMILIES = {
    # Counted by each process. The values of the processes under one supervisor are added up.
    "channels_sockets_open": Family("gauge", "WebSockets that are open."),
    "channels_sockets_accepted": Family("counter", "WebSockets that were accepted."),
    "channels_sockets_rejected": Family("counter", "WebSockets that were rejected."),
    "channels_sockets_closed": Family("counter", "WebSockets that have ended, by close code.", ("code",)),
    "channels_http_responses": Family(
        "counter", "HTTP responses, by status; 499: the client left first.", ("status",)
    ),
    "channels_messages_sent": Family("counter", "Messages that this process sent to the layer."),
    "channels_messages_received": Family("counter", "Messages that this process received from the layer."),
    "channels_messages_full": Family("counter", "Messages that the layer refused: their channel was full."),
    "channels_messages_expired": Family("counter", "Messages that had expired when they were received."),
    "channels_broadcasts": Family("counter", "Messages that were sent to groups."),
    "channels_deliveries": Family("counter", "Messages delivered to clients; each member of a group counts."),
    "channels_consumer_seconds": Family("histogram", "The time that consumers took.", ("consumer",)),
    "channels_consumer_errors": Family("counter", "Exceptions that consumers raised.", ("consumer",)),
    "channels_layer_round_trips": Family("counter", "Round trips to the server behind the layer."),
    "channels_layer_connections": Family("counter", "Connections that were made to the server behind the layer."),
    "channels_layer_failures": Family(
        "counter", "Connections to the server behind the layer that broke, or could not be made."
    ),
    "channels_backoff_pauses": Family("counter", "Pauses before a failed operation was tried again."),
    "channels_processes_swept": Family("counter", "Dead processes that this process has swept."),
    "channels_messages_redelivered": Family("counter", "Messages of dead processes that were given to others."),
    "channels_messages_lost": Family("counter", "Messages that died with the process that ran them."),
    "channels_messages_dead_lettered": Family("counter", "Messages that became dead letters."),
    # The state of the layer. Every process sees the same, so do not add these up.
    "channels_layer_reachable": Family("gauge", "1 if the server behind the layer answers."),
    "channels_processes": Family("gauge", "Processes that are alive, by kind.", ("kind",)),
    "channels_dead_letters": Family("gauge", "Dead letters."),
    "channels_channel_depth": Family("gauge", "Messages that wait in a channel.", ("channel",)),
    "channels_channel_oldest_seconds": Family(
        "gauge", "The age of the oldest message that waits in a channel.", ("channel",)
    ),
    "channels_channel_messages": Family("counter", "Messages that were sent to a channel.", ("channel",)),
    "channels_channel_full": Family("counter", "Messages that a full channel refused.", ("channel",)),
}
"""All metrics by name. ``docs/monitoring.md`` has a table of them."""


def of_this_process() -> Samples:
    """The metrics of this process."""
    samples: dict[tuple[str, ...], Value] = {
        ("channels_sockets_open",): counters.sockets,
        ("channels_sockets_accepted",): counters.accepted,
        ("channels_sockets_rejected",): counters.rejected,
        ("channels_messages_sent",): counters.sent,
        ("channels_messages_received",): counters.received,
        ("channels_messages_full",): counters.full,
        ("channels_messages_expired",): traffic.expired,
        ("channels_broadcasts",): counters.broadcasts,
        ("channels_deliveries",): counters.delivered,
        ("channels_layer_round_trips",): traffic.round_trips,
        ("channels_layer_connections",): traffic.connections,
        ("channels_layer_failures",): traffic.failures,
        ("channels_backoff_pauses",): counters.pauses,
        ("channels_processes_swept",): counters.swept,
        ("channels_messages_redelivered",): counters.redelivered,
        ("channels_messages_lost",): counters.lost,
        ("channels_messages_dead_lettered",): counters.dead_letters,
    }
    # These are copies, because other threads go on counting.
    for code, count in counters.closed.copy().items():
        samples["channels_sockets_closed", str(code)] = count
    for status, count in counters.responses.copy().items():
        samples["channels_http_responses", str(status)] = count
    for name, consumer in counters.consumers.copy().items():
        samples["channels_consumer_seconds", name] = (*consumer.buckets, consumer.seconds)
        samples["channels_consumer_errors", name] = consumer.errors
    return samples


def text_of(samples: Samples) -> bytes:
    """The text of metrics for Prometheus."""
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(samples))
    return generate_latest(registry)


class _Collector:
    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        of_family: dict[str, list[tuple[tuple[str, ...], Value]]] = {}
        for (name, *values), value in self._samples.items():
            of_family.setdefault(name, []).append((tuple(values), value))
        for name, family in FAMILIES.items():
            histogram = HistogramMetricFamily(name, family.text, labels=family.labels)
            kinds = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily}
            if name not in of_family:
                continue
            if family.kind == "histogram":
                for labels, value in of_family[name]:
                    assert isinstance(value, tuple)
                    histogram.add_metric(labels, list(_cumulative(value[:-1])), value[-1])
                yield histogram
                continue
            metric = kinds[family.kind](name, family.text, labels=family.labels)
            for labels, value in of_family[name]:
                metric.add_metric(labels, value)
            yield metric


def _cumulative(buckets: Iterable[float]) -> Iterator[tuple[str, float]]:
    total = 0.0
    for bound, count in zip([*map(str, BUCKETS), "+Inf"], buckets, strict=True):
        total += count
        yield bound, total
