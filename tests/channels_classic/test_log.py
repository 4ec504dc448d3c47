"""Log lines that carry what clients sent."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels_classic.log import logger, printable
from tests.programs import completed

HOSTILE = "/a\r\n2026-01-01 CRITICAL forged\x1b[2J\x9b\u2028\udcff"
ESCAPED = "/a\\r\\n2026-01-01 CRITICAL forged\\x1b[2J\\x9b\\u2028\\udcff"


@given(st.text())
def test_escaped_text_has_one_line(text: str) -> None:
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


PROGRAM = """
import logging, sys
import django
from django.conf import settings

class Kept(logging.Handler):
    def emit(self, record):
        print("KEPT", record.getMessage())

settings.configure(SECRET_KEY="x", DEBUG={debug}, LOGGING={logging}, ADMINS={admins},
    EMAIL_BACKEND="django.core.mail.backends.console.EmailBackend")
sys.modules["kept"] = sys.modules["__main__"]
django.setup()
from channels_classic.log import logger, setup_logger
setup_logger(verbosity={verbosity})
setup_logger(verbosity={verbosity})
logger.error("an error")
logger.info("an information")
logger.debug("a detail")
"""
CONSOLE = {"class": "logging.StreamHandler", "formatter": "ours"}
BASIC = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"ours": {"format": "PROJECT %(levelname)s %(message)s"}},
}


def printed(tmp_path: Path, log: dict[str, Any] | None, verbosity: int = 1, debug: bool = False) -> list[str]:
    """What a program writes, without the times of our own format."""
    config = {} if log is None else {**BASIC, **log}
    admins = [] if log else [("a", "a@example.com")]
    program = PROGRAM.format(admins=admins, debug=debug, logging=config, verbosity=verbosity)
    (tmp_path / "manage.py").write_text(program)
    done = completed([sys.executable, "manage.py"], tmp_path)
    assert done.returncode == 0, done.stderr
    lines = (done.stdout + done.stderr).splitlines()
    texts = ("an error", "an information", "a detail")
    return [re.sub(r"^[0-9-]+ [0-9:,]+ ", "", line) for line in lines if line.endswith(texts)]


NAMED = """
from channels_classic.log import setup_logger
mine = setup_logger("mine", 2)
assert mine.name == "mine" and setup_logger("mine", 2) is mine
mine.debug("a detail")
setup_logger("django.channels", 2).info("an information")
"""


def test_a_logger_of_another_name() -> None:
    done = subprocess.run([sys.executable, "-c", NAMED], capture_output=True, text=True, check=True, timeout=60)
    assert [line.split(" ", 2)[2] for line in done.stderr.splitlines()] == [
        "DEBUG    a detail",
        "INFO     an information",
    ]


OURS = ["ERROR    an error", "INFO     an information", "DEBUG    a detail"]
PROJECTS = ["PROJECT ERROR an error", "PROJECT INFO an information", "PROJECT DEBUG a detail"]


@pytest.mark.parametrize("where", ["", "django", "django.channels"])
def test_the_handlers_of_the_project_get_the_lines_and_get_them_once(tmp_path: Path, where: str) -> None:
    log: dict[str, Any] = {"handlers": {"console": CONSOLE}, "loggers": {where: {"handlers": ["console"]}}}
    assert printed(tmp_path, log) == PROJECTS[:2]
    assert printed(tmp_path, log, verbosity=2) == PROJECTS
    assert printed(tmp_path, log, verbosity=0) == PROJECTS[:1]


@pytest.mark.parametrize("where", ["", "django", "django.channels"])
def test_a_handler_of_the_projects_own_kind(tmp_path: Path, where: str) -> None:
    log = {"handlers": {"kept": {"class": "kept.Kept"}}, "loggers": {where: {"handlers": ["kept"]}}}
    assert printed(tmp_path, log) == ["KEPT an error", "KEPT an information"]


@pytest.mark.parametrize("debug", [False, True])
def test_without_a_setting(tmp_path: Path, debug: bool) -> None:
    """Django's own writes in development only, and mails errors in production."""
    lines = printed(tmp_path, None, debug=debug)
    if debug:
        assert lines == ["an error", "an information"]
    else:
        assert [line for line in lines if line in OURS] == OURS[:2]
        assert "Subject: [Django] ERROR: an error" in lines


def test_levels_of_the_project_are_respected(tmp_path: Path) -> None:
    handlers = {"console": CONSOLE, "errors": {**CONSOLE, "level": "ERROR"}}
    for log, lines in (
        ({"django": {"level": "ERROR", "handlers": ["console"]}}, PROJECTS[:1]),
        ({"django.channels": {"level": "ERROR"}, "": {"handlers": ["console"]}}, PROJECTS[:1]),
        ({"django.channels": {"level": "DEBUG"}, "": {"handlers": ["console"]}}, PROJECTS),
        ({"": {"handlers": ["errors"]}}, [PROJECTS[0], OURS[1]]),
        ({"django.channels": {"handlers": ["console"], "propagate": False}}, PROJECTS[:2]),
    ):
        assert printed(tmp_path, {"handlers": handlers, "loggers": log}) == lines, log


def test_a_file_is_enough(tmp_path: Path) -> None:
    handler = {"class": "logging.FileHandler", "filename": str(tmp_path / "log"), "formatter": "ours"}
    assert printed(tmp_path, {"handlers": {"file": handler}, "root": {"handlers": ["file"]}}) == []
    assert (tmp_path / "log").read_text().splitlines() == PROJECTS[:2]
