"""``Status``: what a process says of itself when it is asked; those of several processes are added up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

Value = float | tuple[float, ...]
"""A number, or those of a histogram: its buckets, then the sum."""

Samples = Mapping[tuple[str, ...], Value]
"""For the name of a metric and the values of its labels, the value."""


class Status(NamedTuple):
    """The state of one process, or of all those under a supervisor.

    Arguments:
        dead: what does not work any more, for people; empty if all is well.
        unready: why it should be sent no clients now; empty if it should.
        draining: whether it is about to end. Under a supervisor another process takes its place.
        samples: of the process.
        layer: of the channel layer, which every process sees alike.
    """

    dead: list[str]
    unready: list[str]
    draining: bool
    samples: Samples
    layer: Samples

    @property
    def is_ready(self) -> bool:
        """Whether clients may be sent to it."""
        return not self.dead and not self.unready and not self.draining

    def as_json(self) -> dict[str, Any]:
        """For ``from_json`` in another process."""
        return {
            **self._asdict(),
            "samples": [[*key, value] for key, value in self.samples.items()],
            "layer": [[*key, value] for key, value in self.layer.items()],
        }


def from_json(data: Mapping[str, Any]) -> Status:
    """What ``as_json`` has made."""
    return Status(
        data["dead"], data["unready"], data["draining"], _samples(data["samples"]), _samples(data["layer"])
    )


def _samples(rows: Iterable[list[Any]]) -> Samples:
    return {tuple(key): tuple(value) if isinstance(value, list) else value for *key, value in rows}


def added(all_samples: Iterable[Samples]) -> Samples:
    """The samples of several processes as one."""
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
