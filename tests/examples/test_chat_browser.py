"""The example chat in a real browser."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

from tests.examples.conftest import PASSWORD, Site

Windows = Callable[..., Page]
PHONE = {"width": 360, "height": 640}


def say(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def texts(page: Page) -> Locator:
    return page.get_by_role("log").locator(".text")


def people(page: Page) -> Locator:
    return page.get_by_role("region", name="Here now").get_by_role("listitem")


def state(page: Page) -> Locator:
    return page.get_by_role("status")


def test_two_windows_see_each_other(enter: Windows) -> None:
    ann, bob = enter("Ann"), enter("Bob")
    expect(people(ann)).to_contain_text(["Ann (you)", "Bob"])
    expect(people(bob)).to_contain_text(["Ann", "Bob (you)"])

    say(ann, "Hello Bob")
    expect(texts(bob)).to_have_text(["Hello Bob"])
    say(bob, "Hello Ann")
    for page in (ann, bob):
        expect(texts(page)).to_have_text(["Hello Bob", "Hello Ann"])
        expect(page.get_by_role("log").locator(".author")).to_have_text(["Ann", "Bob"])

    bob.close()
    expect(people(ann)).to_have_count(1)


def test_a_new_name_shows_everywhere(enter: Windows) -> None:
    ann, bob = enter("Ann"), enter("Bob")
    expect(people(bob)).to_have_count(2)
    ann.get_by_label("Your name").fill("Anna")
    ann.keyboard.press("Enter")
    expect(people(bob)).to_contain_text(["Anna", "Bob"])
    ann.reload()
    expect(ann.get_by_label("Your name")).to_have_value("Anna")


def test_a_new_name_while_the_socket_is_on_its_way_is_not_forgotten(
    enter: Windows, open_page: Windows, room: str
) -> None:
    ann = enter("Ann")
    bob = open_page("/", fresh=True)
    bob.add_init_script(
        """
        const name = () => document.getElementById("name");
        const rename = () => { name().value = "Bob"; name().dispatchEvent(new Event("change")); };
        window.WebSocket = class extends WebSocket {
            constructor(...parameters) { super(...parameters); queueMicrotask(rename); }
        };
        """
    )
    bob.goto(f"/rooms/{room}/")
    expect(people(ann)).to_contain_text(["Ann", "Bob"])


def test_visitors_get_a_name_to_start_with(open_page: Windows, room: str) -> None:
    page = open_page(f"/rooms/{room}/")
    name = page.get_by_label("Your name").input_value()
    assert name.startswith("guest-")
    expect(people(page)).to_contain_text([f"{name} (you)"])


def test_history_is_there_after_a_reload(enter: Windows) -> None:
    page = enter("Ann")
    for text in ("one", "two", "three"):
        say(page, text)
        expect(texts(page).last).to_have_text(text)
    page.reload()
    expect(texts(page)).to_have_text(["one", "two", "three"])


def test_reconnects_and_catches_up(enter: Windows, site: Site, room: str) -> None:
    ann, bob = enter("Ann"), enter("Bob")
    for page in (ann, bob):  # so that the database has these names only
        expect(people(page)).to_contain_text(["Ann", "Bob"])
        expect(people(page)).to_have_count(2)
    say(ann, "before")
    expect(texts(bob)).to_have_text(["before"])

    site.kill()
    for page in (ann, bob):
        expect(state(page)).to_have_text("Reconnecting…")
    say(ann, "into the dark")
    expect(ann.get_by_role("alert")).to_contain_text("Not connected")
    expect(ann.get_by_label("Message", exact=True)).to_have_value("into the dark")
    site.execute(
        "INSERT INTO rooms_message (room, author, text, created) VALUES (?, 'Carl', 'meanwhile', ?)",
        [(room, "2026-01-01 12:00:00")],
    )

    site.start()
    for page in (ann, bob):
        expect(state(page)).to_have_text("Connected")
    expect(ann.get_by_text("Not connected")).to_have_count(0)  # it is, and says so
    say(bob, "after")
    for page in (ann, bob):
        expect(texts(page)).to_have_text(["before", "meanwhile", "after"])
        expect(people(page)).to_contain_text(["Ann", "Bob"])
        expect(people(page)).to_have_count(2)


def test_consecutive_messages_have_one_header(enter: Windows) -> None:
    ann, bob = enter("Ann"), enter("Bob")
    for who, text in ((ann, "one"), (ann, "two"), (bob, "three"), (ann, "four")):
        say(who, text)
        expect(texts(bob).last).to_have_text(text)
    for page in (ann, bob):
        messages = page.get_by_role("log").locator(".message")
        following = [(item.get_attribute("class") or "").split().count("follows") for item in messages.all()]
        assert following == [0, 1, 0, 0]


def test_links_can_be_followed(enter: Windows) -> None:
    page = enter("Ann")
    say(page, "see https://example.com/a?b=1#c, (http://example.org/x_(y)) and javascript:alert(1) http://")
    expect(texts(page)).to_have_count(1)
    links = texts(page).last.get_by_role("link")
    expect(links).to_have_text(["https://example.com/a?b=1#c", "http://example.org/x_(y)"])
    for link in links.all():
        assert link.get_attribute("href") == link.text_content()
        assert link.get_attribute("target") == "_blank"
        assert "noopener" in (link.get_attribute("rel") or "")
    expect(texts(page)).to_have_text(
        ["see https://example.com/a?b=1#c, (http://example.org/x_(y)) and javascript:alert(1) http://"]
    )


def test_a_line_stands_above_each_day(enter: Windows, site: Site, room: str) -> None:
    site.execute(
        "INSERT INTO rooms_message (room, author, text, created) VALUES (?, 'Carl', ?, ?)",
        [
            (room, "long ago", "2026-01-01 12:00:00"),
            (room, "a moment later", "2026-01-01 12:01:00"),
            (room, "much later", "2026-01-03 12:00:00"),
        ],
    )
    page = enter("Ann")
    say(page, "now")
    expect(texts(page)).to_have_text(["long ago", "a moment later", "much later", "now"])
    lines = page.get_by_role("log").locator(".day, .text")
    expect(lines).to_have_count(7)
    shown = [line.text_content() or "" for line in lines.all()]
    assert "January 1" in shown[0]
    assert "January 3" in shown[3]
    assert shown[1:3] + shown[4:] == ["long ago", "a moment later", "much later", "Today", "now"]


def test_hostile_text_is_only_text(enter: Windows) -> None:
    name, text = "<b>Mallory</b>", "<script>hacked = 1</script><img src=x onerror='hacked = 1'>"
    mallory, bob = enter(name), enter("Bob")
    say(mallory, text)
    expect(texts(bob)).to_have_text([text])
    expect(bob.locator(".author")).to_have_text([name])
    expect(people(bob)).to_contain_text([name, "Bob"])
    bob.reload()
    expect(texts(bob)).to_have_text([text])
    assert bob.evaluate("typeof hacked") == "undefined"


def test_a_refused_message_stays_in_the_box(enter: Windows) -> None:
    page = enter("Ann")
    alert, box = page.get_by_role("alert"), page.get_by_label("Message", exact=True)
    say(page, "  \n ")
    expect(alert).to_have_text("Write something first.")
    say(page, "🌿" * 2001)
    expect(alert).to_contain_text("Too long by 1: a message has at most 2,000")
    expect(box).to_have_value("🌿" * 2001)
    say(page, "\x01\x02")  # which the server refuses
    expect(alert).to_have_text("An empty message was not sent.")
    expect(box).to_have_value("\x01\x02")
    expect(texts(page)).to_have_count(0)
    say(page, "🌿" * 2000)
    expect(texts(page)).to_have_text(["🌿" * 2000])
    expect(alert).not_to_be_visible()


def test_a_reader_of_old_messages_is_left_where_they_are(enter: Windows) -> None:
    ann, bob = enter("Ann", viewport=PHONE), enter("Bob")
    for text in ("old", "tall\n\n" * 40, "new"):
        say(bob, text)
        expect(texts(ann).last).to_contain_text(text.strip(), use_inner_text=True)
    expect(texts(ann).last).to_be_in_viewport()
    ann.get_by_role("log").focus()
    ann.keyboard.press("Home")
    expect(texts(ann).first).to_be_in_viewport()
    say(bob, "newest")
    more = ann.get_by_role("button", name="New messages")
    expect(more).to_be_visible()
    expect(texts(ann).first).to_be_in_viewport()
    more.click()
    expect(texts(ann).last).to_be_in_viewport()
    expect(more).not_to_be_visible()


def test_the_lobby_says_what_a_room_may_be_called(open_page: Windows) -> None:
    page = open_page("/")
    for name in ("no spaces", "", "x" * 51, "../admin", "Café"):
        page.get_by_label("Room", exact=True).fill(name)
        page.get_by_role("button", name="Enter").click()
        expect(page.get_by_role("alert")).to_contain_text("up to 50 letters (a to z), digits, hyphens")
        expect(page.get_by_label("Room", exact=True)).to_have_value(name)


def test_a_bad_address_says_it_too(open_page: Windows) -> None:
    page = open_page("/")
    for name in ("no spaces", "a/b", "<script>", "x" * 51):
        response = page.goto(f"/rooms/{name}/")
        assert response is not None
        assert response.status == 404
        expect(page.get_by_role("alert")).to_contain_text("up to 50 letters (a to z), digits, hyphens")


def test_the_lobby_counts_people_as_they_come_and_go(open_page: Windows, enter: Windows, room: str) -> None:
    lobby = open_page("/")
    expect(state(lobby)).to_have_text("Connected")
    entry = lobby.get_by_role("link", name=room)
    ann = enter("Ann")
    expect(entry).to_contain_text("1 person")
    bob = enter("Bob")
    expect(entry).to_contain_text("2 people")
    lobby.reload()
    expect(entry).to_contain_text("2 people")
    bob.close()
    expect(entry).to_contain_text("1 person")
    ann.close()
    expect(entry).to_contain_text("0 people")


def test_the_keyboard_is_enough(open_page: Windows, room: str) -> None:
    page = open_page("/")
    expect(page.get_by_label("Room", exact=True)).to_be_focused()
    page.keyboard.type(room)
    page.keyboard.press("Enter")
    message, name = page.get_by_label("Message", exact=True), page.get_by_label("Your name")
    expect(message).to_be_focused()
    expect(state(page)).to_have_text("Connected")

    page.keyboard.press("Shift+Tab")
    expect(name).to_be_focused()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("Ann")
    page.keyboard.press("Enter")
    expect(message).to_be_focused()
    page.keyboard.type("two")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("lines")
    page.keyboard.press("Enter")
    expect(texts(page)).to_have_text(["two\nlines"], use_inner_text=True)
    expect(page.locator(".author")).to_have_text(["Ann"])

    lobby, log = page.get_by_role("link", name="Rooms"), page.get_by_role("log")
    send = page.get_by_role("button", name="Send")
    way = [("Shift+Tab", (name, log, lobby)), ("Tab", (log, name, message, send))]
    for key, stops in way:
        for stop in stops:
            page.keyboard.press(key)
            expect(stop).to_be_focused()
            assert stop.evaluate("element => getComputedStyle(element).outlineStyle") == "solid"


def log_in(page: Page, name: str) -> None:
    page.get_by_role("link", name="Log in").first.click()
    expect(page.get_by_label("Username")).to_be_focused()
    page.keyboard.type(name)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("banner").first).to_contain_text(f"Logged in as {name}")


def test_sign_up_says_what_is_wrong_and_returns_to_the_room(open_page: Windows, room: str) -> None:
    page = open_page(f"/rooms/{room}/", viewport=PHONE)
    page.get_by_role("link", name="Sign up").click()
    for password in ("abc", PASSWORD):
        page.get_by_label("User name").fill("dora")
        page.get_by_label("Password", exact=True).fill(password)
        page.get_by_label("Password confirmation").fill(password)
        page.keyboard.press("Enter")
        if password == "abc":
            expect(page.get_by_role("alert")).to_contain_text("too short")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    expect(people(page)).to_have_text(["Ddora (you)"])
    expect(page.get_by_label("Your name")).to_have_count(0)
    assert page.url.endswith(f"/rooms/{room}/")


def test_two_users_in_a_private_room_and_a_third_outside(open_page: Windows, site: Site) -> None:
    ann, bob, carl = (
        open_page("/", user="ann", viewport=PHONE),
        open_page("/", user="bob"),
        open_page("/", user="carl"),
    )
    ann.get_by_label("New private room").fill("<i>Plans</i>")
    ann.keyboard.press("Enter")
    expect(ann.get_by_role("heading", level=1)).to_have_text("<i>Plans</i>")
    ann.get_by_text("Members").click()
    for name in ("nobody", "bob"):
        ann.get_by_label("Invite by user name").fill(name)
        ann.keyboard.press("Enter")
        if name == "nobody":
            expect(ann.get_by_text("Nobody here has that user name.")).to_be_visible()
    expect(ann.get_by_role("button", name="Remove bob")).to_be_visible()
    assert ann.evaluate("document.documentElement.scrollWidth <= innerWidth")

    bob.reload()
    bob.get_by_role("link", name="<i>Plans</i>").click()
    expect(people(ann).first).to_contain_text("ann (you)")
    expect(state(bob)).to_have_text("Connected")
    say(bob, "Hello ann")
    expect(texts(ann)).to_have_text(["Hello ann"])
    expect(ann.locator(".message .guest")).not_to_be_visible()

    carl.reload()
    expect(carl.get_by_role("region", name="Your private rooms").get_by_role("link")).to_have_count(0)
    carl.goto(ann.url)
    expect(carl.get_by_role("alert")).to_contain_text("no such private room")

    ann.get_by_role("button", name="Remove bob").click()
    expect(bob.get_by_role("alert")).to_contain_text("no such private room")


def test_log_in_returns_to_the_private_room(open_page: Windows, site: Site) -> None:
    path = site.log_in("ann").post("/rooms/", name="Plans")
    page = open_page(path)
    expect(page.get_by_role("alert")).to_contain_text("If you were invited, log in.")
    log_in(page, "ann")
    expect(page.get_by_role("heading", level=1)).to_have_text("Plans")
    expect(state(page)).to_have_text("Connected")


def test_log_out_in_one_window_ends_speaking_in_the_others(open_page: Windows, site: Site, room: str) -> None:
    inside = open_page(site.log_in("ann").post("/rooms/", name="Plans"), user="ann")
    public, lobby = inside.context.new_page(), inside.context.new_page()
    public.goto(f"/rooms/{room}/")
    lobby.goto("/")
    for page in (inside, public):
        expect(state(page)).to_have_text("Connected")
    say(public, "as ann")
    expect(texts(public)).to_have_text(["as ann"])

    lobby.get_by_role("button", name="Log out").click()
    expect(inside.get_by_role("alert")).to_contain_text("no such private room")
    expect(public.get_by_label("Your name")).to_be_visible()
    public.get_by_label("Your name").fill("Ann")
    public.keyboard.press("Enter")
    expect(public.get_by_text("is the name of a user")).to_be_visible()
    say(public, "as a guest")
    expect(public.get_by_text("is the name of a user")).to_be_visible()
    expect(texts(public)).to_have_text(["as ann"])
    expect(public.get_by_label("Message", exact=True)).to_have_value("as a guest")


def test_nothing_scrolls_sideways_on_a_phone(enter: Windows, open_page: Windows) -> None:
    page = enter("W" * 30, viewport=PHONE)
    say(page, "long" * 200)
    expect(texts(page)).to_have_text(["long" * 200])
    page.get_by_label("Message", exact=True).fill("m" * 3000)
    bad = open_page("/?room=" + "w" * 60, viewport=PHONE)
    for shown in (page, bad, open_page("/", viewport=PHONE)):
        assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")
        inside = "element => element.getBoundingClientRect().right <= innerWidth"
        for button in shown.get_by_role("button").all():
            assert button.evaluate(inside)
        expect(shown.get_by_role("status")).to_be_in_viewport(ratio=1)


def test_dark_mode_follows_the_system(open_page: Windows, room: str) -> None:
    page = open_page(f"/rooms/{room}/", fresh=True)
    colours = set()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        colours.add(page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))
    assert len(colours) == 2
