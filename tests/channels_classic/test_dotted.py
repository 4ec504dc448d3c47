"""The dotted names of consumers, which the log and the commands show."""

from __future__ import annotations

from typing import Any

import pytest

from channels_classic.dotted import name_of


def function() -> None: ...


class Consumers:
    def method(self) -> None: ...

    @classmethod
    def class_method(cls) -> None: ...

    def __call__(self) -> None: ...


class Inheriting(Consumers):
    pass


@pytest.mark.parametrize(
    ("thing", "name"),
    [
        (function, "function"),
        (Consumers, "Consumers"),
        (Consumers.method, "Consumers.method"),
        (Consumers().method, "Consumers.method"),
        (Consumers(), "Consumers"),
        (Consumers.class_method, "Consumers.class_method"),
        (Inheriting.class_method, "Inheriting.class_method"),
    ],
)
def test_the_name_of_a_thing(thing: Any, name: str) -> None:
    assert name_of(thing) == f"{__name__}.{name}"
