"""``Status``: the status of a process, or of several processes together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

Value = float | tuple[float, ...]
"""A number, or for a histogram its buckets and then the sum."""

Samples = Mapping[tuple[str, ...], Value]
"""The values of metrics, by the name of the metric and the values of its labels."""


class Status(NamedTuple):
    """The status of one process, or of all processes under a supervisor.

    Arguments:
        dead: texts about what does not work any more; empty if all is well.
        unready: texts that tell why it should get no clients now; empty if it is ready.
        draining: whether it is about to end. Under a supervisor another process takes its place.
        samples: the metrics of the process.
        layer: the metrics of the channel layer, which are the same for every process.
    """

    dead: list[str]
    unready: list[str]
    draining: bool
    samples: Samples
    layer: Samples

    @property
    def is_ready(self) -> bool:
        """Whether it can get clients."""
        return not self.dead and not self.unready and not self.draining

    def as_json(self) -> dict[str, Any]:
        """The status as a dict for JSON; see ``from_json``."""
        return {
            **self._asdict(),
            "samples": [[*key, value] for key, value in self.samples.items()],
            "layer": [[*key, value] for key, value in self.layer.items()],
        }


def from_json(data: Mapping[str, Any]) -> Status:
    """Make a status from the dict that ``as_json`` has made."""
    return Status(
        data["dead"], data["unready"], data["draining"], _samples(data["samples"]), _samples(data["layer"])
    )


def _samples(rows: Iterable[list[Any]]) -> Samples:
    return {tuple(key): tuple(value) if isinstance(value, list) else value for *key, value in rows}


def added(all_samples: Iterable[Samples]) -> Samples:
    """Add up the samples of several processes."""
    total: dict[tuple[str, ...], Value] = {}
    for samples in all_samples:
        for key, value in samples.items():
            former = total.get(key)
            if isinstance(value, tuple) and isinstance(former, tuple):
                total[key] = tuple(map(sum, zip(former, value, strict=True)))
            elif former is None or isinstance(value, tuple) or isinstance(former, tuple):
                total[key] = value
            else:
                total[key] = former + value
    return total
