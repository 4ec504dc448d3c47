"""The database of an example chat that has been in use for a while."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.examples.conftest import Site, Visitor
from tests.examples.test_chat_socket import next_frame
from tests.examples.test_chat_users import joined

LONG_NAME = "x" * 30  # as long as names could be


@pytest.fixture
def site_of_old(tmp_path: Path) -> Iterator[Site]:
    """A site from before the second migration, without users, and with data of guests."""
    site = Site(tmp_path, migration=("rooms", "0001"))
    site.execute(
        "INSERT INTO rooms_message (room, author, text, created) VALUES ('old', ?, ?, '2026-01-01 12:00:00')",
        [("ann", "first"), (LONG_NAME, "second")],
    )
    site.execute(
        "INSERT INTO rooms_presence (room, reply_channel, name, since, seen)"
        " VALUES ('old', ?, ?, '2026-01-01 12:00:00', '2999-01-01 12:00:00')",
        [("interface.one!1", "ann"), ("interface.one!2", LONG_NAME)],
    )
    yield site
    site.kill()


def test_everything_of_before_the_users_is_of_guests(site_of_old: Site) -> None:
    site = site_of_old
    site.manage("migrate")
    site.start()
    with joined(site, Visitor(site.url), "/rooms/old/", name="eve") as connection:
        history = next_frame(connection, "history")["messages"]
        assert [(said["author"], said["text"], said["guest"]) for said in history] == [
            ("ann", "first", True),
            (LONG_NAME, "second", True),
        ]
        people = next_frame(connection, "presence")["people"]
        assert people == [{"name": name, "guest": True} for name in ("ann", "eve", LONG_NAME)]
    ann = site.log_in("ann")
    assert ann.get(ann.post("/rooms/", name="New")) == 200


def test_nothing_is_missing_in_the_migrations(site: Site) -> None:
    site.manage("makemigrations", "--check", "--dry-run")
