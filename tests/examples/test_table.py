"""The example table in a real browser."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from websockets.sync.client import connect

from tests.examples.conftest import HeldBack, Site

Windows = Callable[..., Page]
PHONE = {"width": 360, "height": 640}


class TableSite(Site):
    example = "table"
    settings = "tablesite.settings"
    database_variable = "DATABASE"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TableSite]:
    site = TableSite(tmp_path_factory.mktemp("table"))
    site.start()
    yield site
    site.kill()


@pytest.fixture
def look(open_page: Windows, site: TableSite) -> Windows:
    """Opens the table, which is as it was at first, connected."""
    site.execute("DELETE FROM rows_row WHERE id > ?", [(0,)])
    rows = [(1, "Bread", 2), (2, "Cheese", 1), (3, "Apples", 12)]
    site.execute("INSERT INTO rows_row (id, thing, amount, who, is_packed) VALUES (?, ?, ?, '', 0)", rows)

    def look(**options: Any) -> Page:
        page = open_page("/", **options)
        expect(page.get_by_role("status")).to_have_text("Connected")
        return page

    return look


def cell(page: Page, thing: str, field: str) -> Locator:
    return page.locator("tr", has=page.locator(f"[data-field=thing][data-saved='\"{thing}\"']")).get_by_label(
        field
    )


def things(page: Page) -> list[str]:
    return [box.input_value() for box in page.locator("tbody").get_by_label("Thing").all()]


def test_all_windows_see_a_change(look: Windows) -> None:
    ann, bob = look(), look()
    cell(ann, "Bread", "Who").fill("Ann")
    ann.keyboard.press("Tab")
    expect(cell(bob, "Bread", "Who")).to_have_value("Ann")
    cell(bob, "Bread", "Packed").check()
    expect(cell(ann, "Bread", "Packed")).to_be_checked()
    for page in (ann, bob):
        expect(page.get_by_text("1 of 3 packed")).to_be_visible()

    ann.get_by_placeholder("Something else").fill("Wine")
    ann.keyboard.press("Enter")
    expect(cell(bob, "Wine", "Amount")).to_have_value("1")
    bob.get_by_role("button", name="Delete the row").nth(1).click()
    expect(cell(ann, "Cheese", "Thing")).to_have_count(0)
    assert things(ann) == ["Bread", "Apples", "Wine"]
    ann.reload()
    expect(cell(ann, "Bread", "Who")).to_have_value("Ann")


def test_two_in_one_row(look: Windows) -> None:
    """The change of one does not undo or disturb that of the other."""
    ann, bob = look(), look()
    cell(ann, "Bread", "Who").focus()
    ann.keyboard.type("An")
    cell(bob, "Bread", "Amount").fill("7")
    cell(bob, "Bread", "Who").fill("Bob")
    bob.keyboard.press("Enter")
    expect(cell(ann, "Bread", "Amount")).to_have_value("7")
    expect(cell(ann, "Bread", "Who")).to_have_value("An")
    ann.keyboard.type("n")
    ann.keyboard.press("Tab")
    for page in (ann, bob):
        expect(cell(page, "Bread", "Who")).to_have_value("Ann")
        expect(cell(page, "Bread", "Amount")).to_have_value("7")


def test_by_keyboard(look: Windows) -> None:
    page, other = look(), look()
    cell(page, "Bread", "Amount").focus()
    page.keyboard.press("ArrowDown")
    expect(cell(page, "Cheese", "Amount")).to_be_focused()
    page.keyboard.type("4")
    page.keyboard.press("Escape")
    expect(cell(page, "Cheese", "Amount")).to_have_value("1")
    page.keyboard.type("5")
    page.keyboard.press("Enter")
    expect(cell(page, "Apples", "Amount")).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(cell(page, "Cheese", "Amount")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_placeholder("Something else")).to_be_focused()
    # Loaded before the change is saved, the page would have it only if it were told of it.
    expect(cell(other, "Cheese", "Amount")).to_have_value("15")
    page.reload()
    expect(page.get_by_role("status")).to_have_text("Connected")
    for thing, amount in (("Bread", "2"), ("Cheese", "15"), ("Apples", "12")):
        expect(cell(page, thing, "Amount")).to_have_value(amount)


def test_a_refused_value_is_reported_and_marked(look: Windows) -> None:
    ann, bob = look(), look()
    amount = cell(ann, "Bread", "Amount")
    for wrong, words in (("-1", "greater than or equal to 0"), ("x", "integer")):
        amount.fill(wrong)
        amount.press("Tab")
        expect(ann.get_by_role("alert")).to_contain_text(words)
        expect(amount).to_have_attribute("aria-invalid", "true")
    amount.fill("3")
    amount.press("Tab")
    expect(cell(bob, "Bread", "Amount")).to_have_value("3")
    expect(ann.get_by_role("alert")).to_be_hidden()
    expect(amount).not_to_have_attribute("aria-invalid", "true")


def test_text_is_text(look: Windows) -> None:
    ann, bob = look(), look()
    ann.get_by_placeholder("Something else").fill('"><img src=x onerror="document.title=1">')
    ann.keyboard.press("Enter")
    expect(bob.locator("tbody tr")).to_have_count(4)
    bob.reload()
    expect(bob.get_by_role("status")).to_have_text("Connected")
    assert things(bob)[3] == '"><img src=x onerror="document.title=1">'
    assert bob.title() == "What to bring"


def test_a_reconnect_brings_what_was_missed(site: TableSite, look: Windows) -> None:
    page = look()
    site.kill()
    expect(page.get_by_role("status")).to_have_text("Reconnecting…")
    site.execute("UPDATE rows_row SET amount = 9 WHERE thing = ?", [("Bread",)])
    site.execute("DELETE FROM rows_row WHERE thing = ?", [("Cheese",)])
    site.start()
    expect(cell(page, "Bread", "Amount")).to_have_value("9")
    expect(page.locator("tbody tr")).to_have_count(2)


def test_changes_that_overtake_the_rows_are_not_undone_by_them(look: Windows) -> None:
    ann, bob = look(), look(fresh=True)
    rows = HeldBack(bob, "all")
    bob.reload()
    expect(bob.get_by_role("status")).to_have_text("Connected")
    cell(ann, "Bread", "Amount").fill("9")
    ann.keyboard.press("Tab")
    ann.locator("tbody tr").nth(1).get_by_role("button").click()
    ann.get_by_placeholder("Something else").fill("Grapes")
    ann.keyboard.press("Enter")
    rows.release(after=3)
    expect(bob.locator("tbody tr")).to_have_count(3)
    assert things(bob) == ["Bread", "Apples", "Grapes"]
    assert cell(bob, "Bread", "Amount").input_value() == "9"
    cell(ann, "Apples", "Amount").fill("5")
    ann.keyboard.press("Tab")
    expect(cell(bob, "Apples", "Amount")).to_have_value("5")


def test_on_a_phone_nothing_is_wider_than_the_screen(look: Windows) -> None:
    page = look(viewport=PHONE)
    page.get_by_placeholder("Something else").fill("w" * 60)
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(4)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_the_number_of_rows_is_bounded(site: TableSite, look: Windows) -> None:
    look()
    site.execute(
        "INSERT INTO rows_row (thing, amount, who, is_packed) VALUES (?, 1, '', 0)",
        [(str(n),) for n in range(197)],
    )
    with connect(f"ws://{site.address}/ws", origin=site.url, proxy=None, open_timeout=60) as socket:  # type: ignore[arg-type]
        assert len(json.loads(socket.recv(20))["payload"]) == 200
        socket.send(json.dumps({"stream": "rows", "payload": {"action": "create", "data": {"thing": "more"}}}))
        assert json.loads(socket.recv(20))["payload"]["error"] == "You may not do this."
