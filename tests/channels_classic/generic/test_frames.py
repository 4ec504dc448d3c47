"""JSON in frames."""

from __future__ import annotations

import datetime
import decimal
import json
import uuid

import pytest
from django.utils.translation import gettext_lazy
from hypothesis import given
from hypothesis import strategies as st

from channels_classic.generic import frames

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
contents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(contents)
def test_json_comes_back(content: object) -> None:
    assert frames.decode(frames.encode(content)) == content


def test_values_of_djangos_json() -> None:
    content = {
        "when": datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
        "id": uuid.UUID(int=1),
        "price": decimal.Decimal("1.50"),
        "text": gettext_lazy("yes"),
    }
    assert json.loads(frames.encode(content)) == {
        "when": "2026-01-02T03:04:05Z",
        "id": "00000000-0000-0000-0000-000000000001",
        "price": "1.50",
        "text": "yes",
    }


@pytest.mark.parametrize(
    "text", ["", "{", "{'a': 1}", "[1,]", "NaN", "[Infinity]", '{"a": -Infinity}', "9" * 5000]
)
def test_frames_that_are_not_json(text: str) -> None:
    with pytest.raises(ValueError):
        frames.decode(text)


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def test_depth() -> None:
    assert frames.encode(frames.decode(nested(frames.DEEPEST))) == nested(frames.DEEPEST)
    for text in (nested(frames.DEEPEST + 1), f'{{"a": [{nested(frames.DEEPEST)}, 1]}}'):
        with pytest.raises(ValueError, match="nested"):
            frames.decode(text)
    with pytest.raises((ValueError, RecursionError)):
        frames.decode("[" * 100_000)


def test_wide_content_is_not_deep() -> None:
    assert len(frames.decode("[" + ",".join(["[]"] * 1000) + "]")) == 1000
    assert frames.decode('"' + "[" * 1000 + '"') == "[" * 1000
