"""Users of the example chat and their private rooms, by sockets of arbitrary clients."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tests.examples.conftest import PASSWORD, Site, Visitor
from tests.examples.test_chat_socket import DEADLINE, next_frame, speak

NOT_ANY_MORE = 4403


@contextmanager
def joined(site: Site, visitor: Visitor, path: str, name: str = "") -> Iterator[ClientConnection]:
    """A socket of that visitor's browser to a room."""
    with connect(
        f"ws://{site.address}{path}ws?name={name}",
        origin=Origin(site.url),
        additional_headers={"Cookie": visitor.cookie},
        compression=None,
        open_timeout=DEADLINE,
    ) as connection:
        yield connection


def refused(site: Site, visitor: Visitor, path: str) -> bool:
    try:
        with joined(site, visitor, path):
            return False
    except InvalidStatus as error:
        return error.response.status_code == 403


def frames_until_closed(connection: ClientConnection) -> tuple[int | None, list[dict[str, object]]]:
    """The close code, and what came before it."""
    frames = []
    try:
        while True:
            frames.append(json.loads(connection.recv(timeout=DEADLINE)))
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None, frames


@pytest.fixture
def ann(site: Site) -> Visitor:
    return site.log_in("ann")


@pytest.fixture
def bob(site: Site) -> Visitor:
    return site.log_in("bob")


@pytest.fixture
def private(site: Site, ann: Visitor, bob: Visitor) -> str:
    """The path of a private room of ann and bob."""
    path = ann.post("/rooms/", name="Plans")
    ann.post(f"{path}members/", invite="bob")
    return path


def test_a_user_speaks_under_the_user_name_whatever_the_client_says(site: Site, ann: Visitor) -> None:
    with joined(site, ann, "/rooms/names/", name="bob") as connection:
        assert next_frame(connection, "presence")["people"] == [{"name": "ann", "guest": False}]
        connection.send(json.dumps({"type": "message", "name": "bob", "author": "bob", "user": 2, "text": "me"}))
        said = next_frame(connection, "message")
        assert (said["author"], said["guest"]) == ("ann", False)


@pytest.mark.parametrize(
    "name", ["carl", "CARL", " c a r l ", "\uff43\uff41\uff52\uff4c", "ca\u200brl", "\u202ecarl"]
)
def test_a_guest_cannot_take_the_name_of_a_user(site: Site, name: str) -> None:
    site.add_users("carl")
    guest = Visitor(site.url)
    with joined(site, guest, "/rooms/taken-names/", name="Gus") as connection:
        next_frame(connection, "presence")
        for frame in ({"type": "here", "name": name}, {"type": "message", "name": name, "text": "I am Carl"}):
            connection.send(json.dumps(frame))
            error = next_frame(connection, "error")
            assert error["about"] == "name"
            assert "is the name of a user" in error["text"]
        connection.send('{"type": "message", "name": "Gus", "text": "I am Gus"}')
        said = next_frame(connection, "message")
        assert (said["author"], said["guest"], said["text"]) == ("Gus", True, "I am Gus")


def test_a_private_room_is_closed_to_everybody_else(site: Site, private: str, ann: Visitor, bob: Visitor) -> None:
    carl, guest = site.log_in("carl"), Visitor(site.url)
    for visitor in (carl, guest):
        assert visitor.get(private) == visitor.get("/rooms/_elsewhere/") == 404
        assert refused(site, visitor, private)
        assert refused(site, visitor, "/rooms/_elsewhere/")
    with joined(site, ann, private) as one, joined(site, bob, private) as two:
        speak(one, "only for us")
        assert next_frame(two, "message")["text"] == "only for us"
    key = private.split("/")[2]
    with connect(f"ws://{site.address}/ws", origin=Origin(site.url), open_timeout=DEADLINE) as lobby:
        assert key not in [room["name"] for room in next_frame(lobby, "rooms")["rooms"]]


def test_only_the_owner_invites_and_removes(site: Site, private: str, bob: Visitor) -> None:
    carl, guest = site.log_in("carl"), Visitor(site.url)
    for visitor in (bob, carl, guest):
        for field in ({"invite": "carl"}, {"remove": "bob"}):
            with pytest.raises(OSError, match="404"):
                visitor.post(f"{private}members/", **field)
    assert bob.get(private) == 200
    assert carl.get(private) == 404


def test_a_removed_member_gets_no_more(site: Site, private: str, ann: Visitor, bob: Visitor) -> None:
    with joined(site, ann, private) as one, joined(site, bob, private) as two, joined(site, bob, private) as three:
        for connection in (two, three):
            next_frame(connection, "presence")
        ann.post(f"{private}members/", remove="bob")
        speak(one, "bob is gone")
        next_frame(one, "message")
        for connection in (two, three):
            code, frames = frames_until_closed(connection)
            assert code == NOT_ANY_MORE
            assert "message" not in [frame["type"] for frame in frames]
        one.send('{"type": "here"}')
        assert next_frame(one, "presence")["people"] == [{"name": "ann", "guest": False}]
    assert bob.get(private) == 404
    assert refused(site, bob, private)


def test_membership_counts_at_each_message(site: Site, private: str, bob: Visitor) -> None:
    with joined(site, bob, private) as connection:
        next_frame(connection, "presence")
        site.execute(
            "DELETE FROM rooms_privateroom_members WHERE user_id = (SELECT id FROM auth_user WHERE username = ?)",
            [("bob",)],
        )
        speak(connection, "still here?")
        assert frames_until_closed(connection)[0] == NOT_ANY_MORE
    assert site.count("rooms_message", private.split("/")[2]) == 0


def test_a_visitor_who_fell_silent_gets_no_more(site: Site, private: str, ann: Visitor, bob: Visitor) -> None:
    with joined(site, ann, private) as one, joined(site, bob, private) as two:
        next_frame(two, "presence")
        site.execute("UPDATE rooms_presence SET seen = '2026-01-01 12:00:00' WHERE name = ?", [("bob",)])
        one.send('{"type": "here"}')
        code, _ = frames_until_closed(two)
        assert code == 1000


def test_a_session_that_ended_counts_at_the_next_message(site: Site, private: str, ann: Visitor) -> None:
    session = next(cookie.value for cookie in ann.jar if cookie.name == "sessionid")
    with joined(site, ann, private) as inside, joined(site, ann, "/rooms/session-ended/") as outside:
        for connection in (inside, outside):
            next_frame(connection, "presence")
        site.execute("DELETE FROM django_session WHERE session_key = ?", [(session,)])
        speak(inside, "still here?")
        assert frames_until_closed(inside)[0] == NOT_ANY_MORE
        outside.send('{"type": "message", "name": "ann", "text": "still ann?"}')
        assert "is the name of a user" in next_frame(outside, "error")["text"]
    assert site.count("rooms_message", private.split("/")[2]) == 0
    assert site.count("rooms_message", "session-ended") == 0


def test_log_out_closes_the_sockets_and_keeps_other_browsers(site: Site, private: str, bob: Visitor) -> None:
    elsewhere = site.log_in("bob")
    with joined(site, bob, private) as inside, joined(site, bob, "/rooms/logged-out/") as outside:
        for connection in (inside, outside):
            next_frame(connection, "presence")
        assert bob.post("/logout/") == "/"
        for connection in (inside, outside):
            assert frames_until_closed(connection)[0] == NOT_ANY_MORE
    assert refused(site, bob, private)
    with joined(site, elsewhere, private) as again:
        assert next_frame(again, "presence")["people"] == [{"name": "bob", "guest": False}]


@pytest.fixture
def root(site: Site) -> Visitor:
    site.add_users("root")
    site.execute("UPDATE auth_user SET is_staff = 1, is_superuser = 1 WHERE username = ?", [("root",)])
    return site.log_in("root")


def change_in_admin(site: Site, root: Visitor, change: str, name: str, room: str) -> None:
    """Removes a user's rights in one of several ways."""
    user, ann = (site.select("SELECT id FROM auth_user WHERE username = ?", each) for each in (name, "ann"))
    private = site.select("SELECT id FROM rooms_privateroom WHERE key = ?", room)
    account = {"username": name, "date_joined_0": "2026-01-01", "date_joined_1": "12:00:00"}
    if change == "deleted":
        root.post(f"/admin/auth/user/{user}/delete/", post="yes")
    elif change == "deleted with others":
        fields = {"action": "delete_selected", "_selected_action": str(user), "post": "yes"}
        root.post("/admin/auth/user/", **fields)
    elif change == "inactive":
        root.post(f"/admin/auth/user/{user}/change/", **account)
    elif change == "another password":
        new = {"password1": PASSWORD[::-1], "password2": PASSWORD[::-1], "usable_password": "true"}
        root.post(f"/admin/auth/user/{user}/password/", **new)
    elif change == "no member any more":
        root.post(f"/admin/rooms/privateroom/{private}/change/", name="Plans", owner=str(ann), members=str(ann))
    else:
        root.post(f"/admin/rooms/privateroom/{private}/delete/", post="yes")


CHANGES = [
    "deleted",
    "deleted with others",
    "inactive",
    "another password",
    "no member any more",
    "room deleted",
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_silent_socket_reads_no_more(site: Site, ann: Visitor, root: Visitor, change: str) -> None:
    """It sends nothing after its first message, so no consumer checks its rights."""
    name = f"dave{CHANGES.index(change)}"
    dave = site.log_in(name)
    room = ann.post("/rooms/", name="Plans")
    ann.post(f"{room}members/", invite=name)
    with joined(site, ann, room) as one, joined(site, dave, room) as silent:
        next_frame(silent, "presence")
        change_in_admin(site, root, change, name, room.split("/")[2])
        code, frames = frames_until_closed(silent)
        assert code == NOT_ANY_MORE
        if change != "room deleted":
            speak(one, "dave is gone")
            next_frame(one, "message")
        assert "dave is gone" not in json.dumps(frames)
    assert refused(site, dave, room)


@pytest.mark.parametrize("after", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_log_in_leads_nowhere_else(site: Site, after: str) -> None:
    site.add_users("ann")
    visitor = Visitor(site.url)
    assert visitor.post("/login/", username="ann", password=PASSWORD, next=after) == "/"


def test_forms_of_other_sites_are_refused(site: Site, ann: Visitor) -> None:
    for path in ("/logout/", "/rooms/", "/login/", "/signup/"):
        with pytest.raises(OSError, match="403"):
            ann.opener.open(site.url + path, b"name=Forged")
