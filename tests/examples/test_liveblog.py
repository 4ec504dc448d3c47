"""The example live blog in a real browser."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.examples.conftest import PASSWORD, HeldBack, Site

Windows = Callable[..., Page]
PHONE = {"width": 360, "height": 640}


class BlogSite(Site):
    example = "liveblog"
    settings = "blogsite.settings"
    database_variable = "DATABASE"

    def add_writer(self) -> None:
        self.add_users("ann")
        self.execute("UPDATE auth_user SET is_staff = 1, is_superuser = 1 WHERE username = ?", [("ann",)])

    def add_blog(self, slug: str) -> None:
        self.execute("INSERT OR IGNORE INTO blog_blog (slug, title) VALUES (?, ?)", [(slug, f"About {slug}")])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BlogSite]:
    site = BlogSite(tmp_path_factory.mktemp("liveblog"))
    site.add_writer()
    site.start()
    yield site
    site.kill()


@pytest.fixture
def slug(site: BlogSite, room: str) -> str:
    """A blog that no other test uses."""
    site.add_blog(room)
    return room


@pytest.fixture
def read(open_page: Windows, slug: str) -> Windows:
    """Opens the blog, connected."""

    def read(**options: Any) -> Page:
        page = open_page(f"/{slug}/", **options)
        expect(page.get_by_role("status")).to_have_text("Connected")
        return page

    return read


@pytest.fixture
def write(open_page: Windows, slug: str) -> Windows:
    """Opens the blog as somebody who may write."""

    def write(**options: Any) -> Page:
        page = open_page(f"/{slug}/", user="ann", **options)
        expect(page.get_by_role("status")).to_have_text("Connected")
        return page

    return write


def texts(page: Page) -> Locator:
    return page.get_by_role("feed").locator(".text")


def post(page: Page, text: str, draft: bool = False) -> None:
    page.get_by_label("New post").fill(text)
    page.get_by_label("Keep as a draft").set_checked(draft)
    page.get_by_role("button", name="Post", exact=True).click()
    expect(texts(page).first).to_have_text(text)


def delete(button: Locator) -> None:
    button.page.once("dialog", lambda dialog: dialog.accept())
    button.click()


def test_readers_see_posts_come_change_and_go(write: Windows, read: Windows) -> None:
    writer, reader = write(), read()
    post(writer, "first")
    post(writer, "second")
    expect(texts(reader)).to_have_text(["second", "first"])

    writer.get_by_role("button", name="Edit").last.click()
    writer.keyboard.press("ControlOrMeta+A")
    writer.keyboard.type("the very first")
    writer.keyboard.press("Control+Enter")
    expect(texts(reader)).to_have_text(["second", "the very first"])
    expect(texts(writer)).to_have_text(["second", "the very first"])
    expect(writer.get_by_role("button", name="Save")).to_have_count(0)

    delete(writer.get_by_role("button", name="Delete").first)
    expect(texts(reader)).to_have_text(["the very first"])
    expect(reader.get_by_role("button", name="Edit")).to_have_count(0)


def test_a_writer_logs_in(open_page: Windows, slug: str) -> None:
    page = open_page(f"/login/?next=/{slug}/")
    page.get_by_label("Username").fill("ann")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("Connected")
    post(page, "first")


def test_changes_that_overtake_the_history_are_not_undone_by_it(write: Windows, read: Windows) -> None:
    writer, reader = write(), read(fresh=True)
    post(writer, "first")
    post(writer, "second")
    history = HeldBack(reader, "history")
    reader.reload()
    expect(reader.get_by_role("status")).to_have_text("Connected")
    delete(writer.get_by_role("button", name="Delete").last)
    expect(texts(writer)).to_have_text(["second"])
    post(writer, "third")
    history.release(after=2)
    expect(texts(reader)).to_have_text(["third", "second"])


def test_a_draft_is_not_for_readers(write: Windows, read: Windows) -> None:
    writer, reader = write(), read()
    post(writer, "not yet", draft=True)
    post(writer, "now")
    expect(texts(reader)).to_have_text(["now"])
    writer.get_by_role("button", name="Publish").click()
    expect(texts(reader)).to_have_text(["now", "not yet"])
    writer.get_by_role("button", name="Withdraw").last.click()
    expect(texts(reader)).to_have_text(["now"])
    reader.reload()
    expect(texts(reader)).to_have_text(["now"])


def test_changes_in_the_admin_are_seen(write: Windows, read: Windows) -> None:
    writer, reader = write(), read()
    post(writer, "posted")
    pk = writer.get_by_role("feed").locator("[data-pk]").get_attribute("data-pk")
    writer.goto(f"/admin/blog/post/{pk}/change/")
    writer.get_by_label("Text").fill("changed in the admin")
    writer.get_by_role("button", name="Save", exact=True).click()
    expect(texts(reader)).to_have_text(["changed in the admin"])


def test_text_is_text(write: Windows, read: Windows) -> None:
    writer, reader = write(), read()
    text = "<script>document.title = 1</script> & <b>bold</b>\nand a line"
    post(writer, text)
    expect(texts(reader)).to_have_text(text)
    reader.reload()
    expect(texts(reader)).to_have_text(text)
    assert reader.title().startswith("About")


def test_missed_posts_appear_after_a_reconnect(site: BlogSite, slug: str, write: Windows, read: Windows) -> None:
    writer, reader = write(), read()
    post(writer, "one")
    post(writer, "two")
    site.kill()
    expect(reader.get_by_role("status")).to_have_text("Reconnecting…")
    writer.get_by_label("New post").fill("three")
    writer.get_by_label("New post").press("Control+Enter")
    expect(writer.get_by_role("alert")).to_contain_text("Not connected")
    expect(writer.get_by_label("New post")).to_have_value("three")
    site.execute("DELETE FROM blog_post WHERE text = ?", [("one",)])
    site.start()
    expect(reader.get_by_role("status")).to_have_text("Connected")
    expect(texts(reader)).to_have_text(["two"])
    expect(writer.get_by_role("status")).to_have_text("Connected")
    writer.get_by_role("button", name="Post", exact=True).click()
    expect(texts(reader)).to_have_text(["three", "two"])


def test_refusals_are_shown(write: Windows) -> None:
    writer = write()
    writer.get_by_role("button", name="Post", exact=True).click()
    expect(writer.get_by_role("alert")).to_have_text("Write something first.")
    writer.get_by_label("New post").evaluate(
        "box => { box.removeAttribute('maxlength'); box.value = 'x'.repeat(2001) }"
    )
    writer.get_by_role("button", name="Post", exact=True).click()
    expect(writer.get_by_role("alert")).to_have_text(
        "Ensure this value has at most 2000 characters (it has 2001)."
    )
    expect(texts(writer)).to_have_count(0)


def test_a_post_in_editing_is_not_overwritten(write: Windows) -> None:
    ann, bob = write(), write()
    post(ann, "draft of both")
    expect(texts(bob)).to_have_text(["draft of both"])
    bob.get_by_role("button", name="Edit").click()
    bob.keyboard.type(" by Bob")
    post(ann, "meanwhile")
    ann.get_by_role("button", name="Withdraw").last.click()
    expect(bob.get_by_text("draft", exact=True)).to_have_count(2)
    expect(bob.get_by_label("Text", exact=True)).to_have_value("draft of both by Bob")
    bob.keyboard.press("Escape")
    expect(bob.get_by_role("button", name="Edit").last).to_be_focused()


def test_new_posts_do_not_move_a_reader_below(site: BlogSite, slug: str, write: Windows, read: Windows) -> None:
    site.execute(
        "INSERT INTO blog_post (blog_id, text, is_draft, created)"
        " SELECT id, ?, 0, '2026-01-01 12:00' FROM blog_blog WHERE slug = ?",
        [(f"post {number}\n" * 4, slug) for number in range(12)],
    )
    writer, reader = write(), read(viewport=PHONE)
    expect(texts(reader)).to_have_count(12)
    reader.evaluate("scrollTo(0, document.body.scrollHeight)")
    post(writer, "news")
    expect(reader.get_by_role("button", name="New posts")).to_be_visible()
    reader.get_by_role("button", name="New posts").click()
    expect(texts(reader).first).to_be_in_viewport()
    expect(reader.get_by_role("button", name="New posts")).to_be_hidden()


def test_on_a_phone_nothing_is_wider_than_the_screen(write: Windows) -> None:
    page = write(viewport=PHONE)
    post(page, "a-very-long-word-" * 20)
    page.get_by_role("button", name="Edit").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_the_list_of_blogs(open_page: Windows) -> None:
    page = open_page("/")
    page.get_by_role("link", name="What happens today").click()
    expect(page.get_by_role("heading", name="What happens today")).to_be_visible()


# Browsers are not the only ones that can speak.


def open_socket(site: BlogSite, slug: str, **headers: str) -> Any:
    return connect(
        f"ws://{site.address}/{slug}/ws",
        additional_headers={"Origin": site.url, **headers},
        proxy=None,
        open_timeout=60,
    )


def test_readers_cannot_write(site: BlogSite, slug: str) -> None:
    site.add_blog("elsewhere")
    site.execute(
        "INSERT INTO blog_post (blog_id, text, is_draft, created)"
        " SELECT id, ?, 0, '2026-01-01 12:00' FROM blog_blog WHERE slug = ?",
        [("there", "elsewhere")],
    )
    there = site.select("SELECT max(id) FROM blog_post WHERE text = 'there'")

    def ask(socket: Any, **payload: Any) -> Any:
        socket.send(json.dumps({"stream": "posts", "payload": payload}))
        return json.loads(socket.recv(20))["payload"]

    with open_socket(site, slug) as socket:
        assert json.loads(socket.recv(20)) == {"stream": "history", "payload": []}
        for payload in (
            {"action": "create", "data": {"text": "hello"}},
            {"action": "update", "pk": there, "data": {"text": "hello"}},
            {"action": "delete", "pk": there},
        ):
            assert ask(socket, **payload)["error"] == "You may not do this."
    # A writer, but on the page of another blog.
    with open_socket(site, slug, Cookie=site.log_in("ann").cookie) as socket:
        socket.recv(20)
        assert ask(socket, action="delete", pk=there)["error"] == "You may not do this."
        assert (
            ask(socket, action="create", data={"text": "x", "blog": 1, "created": "1999-01-01"})["action"]
            == "create"
        )
    assert site.select("SELECT count(*) FROM blog_post WHERE text = 'there'") == 1


@pytest.mark.parametrize(
    ("path", "origin"), [("nothing-here", None), ("today", "http://evil.example"), ("a/b", None)]
)
def test_sockets_that_are_refused(site: BlogSite, path: str, origin: str | None) -> None:
    with (
        pytest.raises(InvalidStatus, match="403"),
        open_socket(site, path, **({"Origin": origin} if origin else {})),
    ):
        pass
