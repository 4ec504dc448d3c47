"""``Status``: passes to another process unchanged, and several can be added up."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from channels_classic.monitoring.status import Samples, Status, added, from_json

NUMBERS = st.integers(0, 2**40)
SINGLE = st.dictionaries(st.tuples(st.sampled_from("abc"), st.text(max_size=3)), NUMBERS)
HISTOGRAMS = st.dictionaries(st.tuples(st.sampled_from("xyz")), st.tuples(NUMBERS, NUMBERS, NUMBERS))
SAMPLES = st.tuples(SINGLE, HISTOGRAMS).map(lambda pair: {**pair[0], **pair[1]})


@given(st.lists(st.text()), st.lists(st.text()), st.booleans(), SAMPLES, SAMPLES)
def test_it_survives_json(
    dead: list[str], unready: list[str], draining: bool, samples: Samples, layer: Samples
) -> None:
    status = Status(dead, unready, draining, samples, layer)
    assert from_json(json.loads(json.dumps(status.as_json()))) == status


@given(SAMPLES, SAMPLES, SAMPLES)
def test_adding_up(first: Samples, second: Samples, third: Samples) -> None:
    total = added([first, second, third])
    assert total == added([added([third, first]), second])
    assert total.keys() == first.keys() | second.keys() | third.keys()
    for key, value in total.items():
        values = [samples[key] for samples in (first, second, third) if key in samples]
        if isinstance(value, tuple):
            assert value == tuple(map(sum, zip(*values, strict=True)))  # type: ignore[arg-type]
        else:
            assert value == sum(values)  # type: ignore[arg-type]
