"""Log lines that carry what clients sent."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels_classic.log import logger, printable

HOSTILE = "/a\r\n2026-01-01 CRITICAL forged\x1b[2J\x9b\u2028\udcff"
ESCAPED = "/a\\r\\n2026-01-01 CRITICAL forged\\x1b[2J\\x9b\\u2028\\udcff"


@given(st.text())
def test_what_is_printable_has_one_line(text: str) -> None:
    assert printable(text).isprintable()


def test_printable_text_stays() -> None:
    assert printable("/über/päth?ok=✓") == "/über/päth?ok=✓"


@pytest.mark.parametrize(
    "argument", [HOSTILE, ValueError(HOSTILE), [HOSTILE], HOSTILE.encode("utf-8", "surrogateescape")]
)
def test_no_argument_forges_a_line(argument: object, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "django.channels"):
        logger.info("What came: %s, %r, %d.", argument, argument, 3)
    assert caplog.messages[0].isprintable()
    assert caplog.records[0].msg == "What came: %s, %r, %d."


def test_the_text_is_escaped_as_people_know_it(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "django.channels"):
        logger.info("No answer to %s.", HOSTILE)
    assert caplog.messages == [f"No answer to {ESCAPED}."]
