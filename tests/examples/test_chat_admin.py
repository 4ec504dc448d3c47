"""Django's admin pages of the example chat, for those who run it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.examples.conftest import PASSWORD, Site, Visitor

PRIVATE_ROOMS = "/admin/rooms/privateroom/"


def make_superuser(site: Site, name: str) -> None:
    site.add_users(name)
    site.execute("UPDATE auth_user SET is_staff = 1, is_superuser = 1 WHERE username = ?", [(name,)])


@pytest.fixture
def root(site: Site) -> Visitor:
    make_superuser(site, "root")
    return site.log_in("root")


def user_id(site: Site, name: str) -> str:
    return str(site.select("SELECT id FROM auth_user WHERE username = ?", name))


def key_of(site: Site, name: str) -> str:
    return str(site.select("SELECT key FROM rooms_privateroom WHERE name = ?", name))


def test_nobody_else_gets_in(site: Site) -> None:
    assert Visitor(site.url).read("/admin/").count("Log in") > 0
    assert "not authorized" in site.log_in("ann").read(PRIVATE_ROOMS)


@pytest.fixture
def something_to_list(site: Site) -> None:
    site.execute(
        "INSERT INTO rooms_message (room, author, text, created)"
        " VALUES ('admin', 'ann', ?, '2026-01-01 12:00:00')",
        [("said long ago",)],
    )
    site.execute(
        "INSERT OR IGNORE INTO rooms_presence (room, reply_channel, name, since, seen)"
        " VALUES ('admin', ?, 'somebody', '2026-01-01 12:00:00', '2026-01-01 12:00:00')",
        [("interface.gone!1",)],
    )


@pytest.mark.usefixtures("something_to_list")
@pytest.mark.parametrize(
    ("model", "listed"),
    [("message", "said long ago"), ("presence", "somebody"), ("privateroom", "Add private room")],
)
def test_the_lists_and_the_forms(site: Site, root: Visitor, model: str, listed: str) -> None:
    assert listed in root.read(f"/admin/rooms/{model}/")
    assert "<form" in root.read(f"/admin/rooms/{model}/add/")
    if model != "presence":
        assert root.get(f"/admin/rooms/{model}/?q=ann") == 200


def test_a_room_is_for_its_owner_and_its_members(site: Site, root: Visitor) -> None:
    ann, bob, eve = (site.log_in(name) for name in ("ann", "bob", "eve"))
    room = {"name": "From the admin", "owner": user_id(site, "ann"), "members": user_id(site, "bob")}
    assert root.post(f"{PRIVATE_ROOMS}add/", **room) == PRIVATE_ROOMS
    path = f"/rooms/{key_of(site, 'From the admin')}/"
    assert [visitor.get(path) for visitor in (ann, bob, eve)] == [200, 200, 404]
    assert "From the admin" in root.read(f"{PRIVATE_ROOMS}?q=ann")


def test_in_a_browser(site: Site, open_page: Callable[..., Page]) -> None:
    make_superuser(site, "root")
    site.add_users("ann", "bob")
    page = open_page("/admin/")
    page.get_by_label("Username").fill("root")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("link", name="Private rooms").first.click()
    page.get_by_role("link", name=re.compile("Add private room", re.IGNORECASE)).click()
    page.get_by_label("Name", exact=False).first.fill("By hand")
    for field, name in (("owner", "ann"), ("members", "bob")):
        page.locator(f".field-{field} .select2-selection").click()
        page.locator(".select2-search__field").last.fill(name)
        page.get_by_role("option", name=name, exact=True).click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was added successfully")).to_be_visible()
    expect(page.get_by_role("link", name="By hand", exact=True)).to_be_visible()
    assert site.log_in("ann").get(f"/rooms/{key_of(site, 'By hand')}/") == 200
