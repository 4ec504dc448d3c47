"""The application for each path."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from interface_server.mounts import Mounts


def application(name: str) -> Any:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError(f"{name} is not to be called.")

    application.__name__ = name
    return application


def found(mounts: Mounts, path: str) -> str | None:
    application: Any = mounts.find(path)
    return None if application is None else application.__name__


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/async", "outer"),
        ("/async/", "outer"),
        ("/async/chat", "outer"),
        ("/async/deep", "inner"),
        ("/async/deep/er", "inner"),
        ("/async/deeper", "outer"),
        ("/slash", "slash"),
        ("/slash/", "slash"),
        ("/slash/x", "slash"),
        ("/asynchronous", None),
        ("/Async", None),
        ("/", None),
        ("", None),
        ("/other/async", None),
    ],
)
def test_the_longest_path_that_fits_counts(path: str, name: str | None) -> None:
    mounts = Mounts(
        {"/async": application("outer"), "/async/deep": application("inner"), "/slash/": application("slash")}
    )
    assert found(mounts, path) == name


SEGMENTS = st.lists(st.sampled_from(["a", "b", "ab", ""]), max_size=4)


@example({"", "/", "a"}, ["a"])
@given(st.sets(SEGMENTS.map("/".join), max_size=5), SEGMENTS)
def test_it_is_found_by_whole_segments(mounted: set[str], segments: list[str]) -> None:
    """This holds for any mounts and paths."""
    mounts = Mounts({f"/{path}": application(path) for path in mounted})
    path = "/" + "/".join(segments)
    name = found(mounts, path)
    fitting = [one for one in mounted if f"{path}/".startswith(f"/{one}".rstrip("/") + "/")]
    if name is None:
        assert not fitting
    else:
        assert name in fitting
        assert len(f"/{name}".rstrip("/")) == max(len(f"/{one}".rstrip("/")) for one in fitting)


def test_each_application_is_started_and_stopped_once(caplog: pytest.LogCaptureFixture) -> None:
    """This holds for several paths, and if another application fails. One without lifespan support is left
    alone."""
    told: list[str] = []

    async def careful(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(2):
            event = (await receive())["type"]
            told.append(event)
            await send({"type": f"{event}.complete"})

    async def failing(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        raise RuntimeError("failed at the end")

    async def main() -> None:
        mounts = Mounts({"/a": failing, "/b": careful, "/c": careful, "/d": application("without")})
        await mounts.start()
        assert told == ["lifespan.startup"]
        await mounts.stop()

    with caplog.at_level(logging.ERROR, "django.channels"):
        asyncio.run(main())
    assert told == ["lifespan.startup", "lifespan.shutdown"]
    assert "failed at the end" in caplog.text
