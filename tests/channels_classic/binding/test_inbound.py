"""Requests of clients to change rows."""

from __future__ import annotations

import contextlib
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from channels_classic import Channel, route
from channels_classic.binding import base, fields
from channels_classic.binding.websockets import WebsocketBinding
from channels_classic.exceptions import ConsumeLater
from channels_classic.generic.websockets import WebsocketDemultiplexer
from channels_classic.test import ChannelTestCase, TransactionChannelTestCase, apply_routes
from tests.channels_classic.binding.client import Reader, bind
from tests.channels_classic.binding.library.models import Book, Code, Paper, Place, Shelf, Tag
from tests.channels_classic.generic.test_frames import contents


def group_of_all(self: Any, book: Any) -> list[str]:
    return ["all"]


class InboundCase(ChannelTestCase):
    def setUp(self) -> None:
        self.reader = Reader()
        self.watcher = Reader("all")

    def refused(self, binding: type[WebsocketBinding], **payload: Any) -> Any:
        """The text and the errors of a refusal. Checks that nothing has changed."""
        before = list(Book.objects.values())
        with self.assertLogs("django.channels", "WARNING") as log:
            answer = self.reader.ask(binding, **payload)
        assert list(Book.objects.values()) == before
        assert self.watcher.told() == []
        assert any("BookBinding refused" in line for line in log.output)
        assert answer["action"] == "error"
        assert answer["model"] == "library.book"
        pk = None if payload["action"] == "create" else payload.get("pk")
        assert answer["request"] == {"action": payload["action"], "pk": pk}
        return answer["error"], answer["errors"]


class TestRequests(InboundCase):
    def test_create_update_delete(self) -> None:
        binding = bind(group_names=group_of_all)
        assert self.reader.ask(binding, action="create", data={"title": "Emma", "pages": 2}) is None
        book = Book.objects.get()
        assert (book.title, book.pages) == ("Emma", 2)
        assert self.watcher.told() == [("create", book.pk, {"title": "Emma", "pages": 2})]

        assert self.reader.ask(binding, action="update", pk=book.pk, data={"title": "Persuasion"}) is None
        assert self.watcher.told() == [("update", book.pk, {"title": "Persuasion", "pages": 2})]
        assert self.reader.ask(binding, action="update", pk=str(book.pk), data={"pages": 3}) is None
        assert self.watcher.told() == [("update", book.pk, {"title": "Persuasion", "pages": 3})]

        assert self.reader.ask(binding, action="delete", pk=book.pk) is None
        assert self.watcher.told() == [("delete", book.pk, {"title": "Persuasion", "pages": 3})]
        assert not Book.objects.exists()

    def test_actions_of_its_own(self) -> None:
        """``channels_api`` has such actions: only ``run_action`` checks an action."""
        asked = []

        def run_action(self: Any, action: Any, pk: Any, data: Any) -> None:
            asked.append((action, pk, data))
            if action == "create":
                WebsocketBinding.run_action(self, action, pk, data)

        binding = bind(group_names=group_of_all, run_action=run_action)
        requests = [
            {"action": "list"},
            {"action": "retrieve", "pk": ["no", {"key": 1}]},
            {"action": "subscribe", "data": "all"},
            {"pk": 7},
            {"action": "create", "pk": 7, "data": {"title": "Emma"}},
        ]
        for request in requests:
            assert self.reader.ask(binding, **request) is None
        assert asked == [(request.get("action"), request.get("pk"), request.get("data")) for request in requests]
        assert Book.objects.get().title == "Emma"

    def test_connecting_and_leaving_are_no_requests(self) -> None:
        with apply_routes([WebsocketDemultiplexer.as_route({"consumers": {"books": bind().consumer}})]):
            self.reader.send_and_consume("websocket.connect")
            self.reader.send_and_consume("websocket.disconnect")
        assert self.reader.receive() is None

    def test_fields_that_are_not_the_bindings_are_not_written(self) -> None:
        binding = bind(fields=["title"])
        book = Book.objects.create(title="Emma")
        data = {
            "title": "Persuasion",
            "pages": 9,
            "id": 99,
            "pk": 99,
            "is_secret": True,
            "nonsense": 1,
            "_state": 1,
        }
        assert self.reader.ask(binding, action="update", pk=book.pk, data=data) is None
        book.refresh_from_db()
        assert (book.title, book.pages, book.is_secret) == ("Persuasion", 1, False)
        assert self.reader.ask(binding, action="create", data={**data, "title": "Emma"}) is None
        created = Book.objects.get(title="Emma")
        assert (created.pk != 99, created.pages, created.is_secret) == (True, 1, False)

    def test_nothing_to_write_is_nothing_done(self) -> None:
        binding = bind(fields=["title"], group_names=group_of_all)
        book = Book.objects.create(title="Emma")
        self.watcher.told()
        assert self.reader.ask(binding, action="update", pk=book.pk, data={"pages": 9}) is None
        assert self.watcher.told() == []

    def test_some_fields_are_never_written(self) -> None:
        binding = bind(fields=["__all__"])
        book = Book.objects.create(title="Emma", inventory="7")
        data = {"cover": "../settings.py", "inventory": "8", "changed": "2000-01-01T00:00:00Z", "pages": 2}
        assert self.reader.ask(binding, action="update", pk=book.pk, data=data) is None
        book.refresh_from_db()
        assert (book.cover.name, book.inventory, book.pages) == ("", "7", 2)
        assert book.changed.year > 2000

    def test_all_kinds_of_fields(self) -> None:
        binding = bind(fields=["__all__"])
        shelf, tag = Shelf.objects.create(name="s"), Tag.objects.create(name="t")
        data = {
            "title": "Emma",
            "pages": 3,
            "shelf": shelf.pk,
            "tags": [tag.pk],
            "is_secret": True,
            "price": "1.50",
            "published": "2026-01-02T03:04:05Z",
            "details": {"a": [1, None]},
        }
        assert self.reader.ask(binding, action="create", data=data) is None
        book = Book.objects.get()
        sent = binding().serialize_data(book)
        assert {name: sent[name] for name in data} == data
        assert self.reader.ask(binding, action="update", pk=book.pk, data={"shelf": None, "tags": []}) is None
        sent = binding().serialize_data(Book.objects.get())
        assert (sent["shelf"], sent["tags"]) == (None, [])

    def test_others_columns_are_not_overwritten(self) -> None:
        binding = bind(fields=["title", "pages"])
        book = Book.objects.create(title="Emma")

        def validate(self: Any, instance: Book, exclude: set[str]) -> None:
            assert exclude >= {"pages", "inventory"}

        with mock.patch.object(binding, "validate", validate):
            assert self.reader.ask(binding, action="update", pk=book.pk, data={"title": "x"}) is None

    def test_keys_of_other_kinds(self) -> None:
        papers = bind(model=Paper, fields=["name"], group_names=group_of_all)
        paper = Paper.objects.create(name="a")
        assert self.reader.ask(papers, action="update", pk=str(paper.pk), data={"name": "b"}) is None
        assert Paper.objects.get().name == "b"
        codes = bind(model=Code, fields=["code", "text"], group_names=group_of_all)
        assert self.reader.ask(codes, action="create", data={"code": "x", "text": "1"}) is None
        with self.assertLogs("django.channels", "WARNING"):
            answer = self.reader.ask(codes, action="create", data={"code": "x", "text": "2"})
        assert list(answer["errors"]) == ["code"]
        assert self.reader.ask(codes, action="update", pk="x", data={"code": "y", "text": "3"}) is None
        assert list(Code.objects.values_list("code", "text")) == [("x", "3")]

    def test_a_key_of_several_fields(self) -> None:
        places = bind(model=Place, fields=["__all__"], group_names=group_of_all)
        data = {"row": 1, "column": 2, "text": "a"}
        assert self.reader.ask(places, action="create", data=data) is None
        assert self.watcher.told() == [("create", [1, 2], data)]
        with self.assertLogs("django.channels", "WARNING"):
            assert self.reader.ask(places, action="create", data={**data, "text": "b"})["action"] == "error"
        assert self.reader.ask(places, action="update", pk=[1, 2], data={"column": 3, "text": "c"}) is None
        assert list(Place.objects.values("row", "column", "text")) == [{**data, "text": "c"}]
        with self.assertLogs("django.channels", "WARNING"):
            for pk in ([1], [1, 2, 3], [1, "x"], [1, [2]], [1, True], 1, "1"):
                assert self.reader.ask(places, action="delete", pk=pk)["action"] == "error"
        assert self.reader.ask(places, action="delete", pk=[1, 2]) is None
        assert not Place.objects.exists()

    def test_methods_can_be_overridden(self) -> None:
        def create(self: Any, data: dict[str, Any]) -> None:
            self.model(title=data["title"], inventory=self.user.get_username()).save()

        self.reader.force_login(get_user_model().objects.create_user("ann"))
        binding = bind(create=create)
        with apply_routes(
            [WebsocketDemultiplexer.as_route({"consumers": {"b": binding.consumer}, "http_user": True})]
        ):
            self.reader.send_and_consume("websocket.connect")
        assert self.reader.ask(binding, action="create", data={"title": "Emma"}) is None
        assert Book.objects.get().inventory == "ann"

    def test_fields_that_clients_cannot_set(self) -> None:
        shelf = Shelf.objects.create(name="s")
        binding = bind(new_instance=lambda self: Book(shelf=shelf, inventory=self.kwargs["multiplexer"].stream))
        assert self.reader.ask(binding, action="create", data={"title": "Emma", "shelf": None}) is None
        assert (Book.objects.get().shelf, Book.objects.get().inventory) == (shelf, "books")

    def test_a_session_without_a_user(self) -> None:
        def create(self: Any, data: dict[str, Any]) -> None:
            self.message.channel_session["title"] = data["title"]

        binding = bind(create=create, channel_session_user=False, channel_session=True)
        with apply_routes([route("books", binding.consumer)]):
            self.reader.send_and_consume("books", {"text": '{"action": "create", "data": {"title": "Emma"}}'})
        assert self.reader.channel_session["title"] == "Emma"

    def test_order(self) -> None:
        for ordering in ("strict_ordering", "slight_ordering"):
            binding = bind(**{ordering: True})
            client = Reader()
            with apply_routes(
                [route("websocket.receive", binding.consumer), route("websocket.connect", binding.consumer)]
            ):
                client.send(
                    "websocket.receive", {"order": 1}, text={"action": "create", "data": {"title": ordering}}
                )
                client.consume("websocket.receive")
                assert not Book.objects.filter(title=ordering).exists()
                client.send_and_consume("websocket.connect", {"order": 0})
                client.consume("websocket.receive")
                assert Book.objects.filter(title=ordering).exists()

    def test_a_route_of_its_own(self) -> None:
        binding = bind()
        with apply_routes([route("books", binding.consumer)]):
            self.reader.send_and_consume("books", {"text": '{"action": "create", "data": {"title": "Emma"}}'})
        assert Book.objects.get().title == "Emma"


class TestPermission(InboundCase):
    def test_nobody_may_unless_the_binding_says_so(self) -> None:
        binding = bind(has_permission=WebsocketBinding.has_permission)
        book = Book.objects.create(title="Emma")
        for payload in (
            {"action": "create", "data": {"title": "x"}},
            {"action": "update", "pk": book.pk, "data": {"title": "x"}},
            {"action": "delete", "pk": book.pk},
            {"action": "delete", "pk": book.pk + 1},
        ):
            assert self.refused(binding, **payload) == ("You may not do this.", {})

    def test_the_arguments_of_has_permission(self) -> None:
        asked = []

        def has_permission(self: Any, user: Any, action: str, pk: Any) -> bool:
            asked.append((user.is_authenticated, action, pk, self.kwargs["multiplexer"].stream))
            return bool(action == "create")

        binding = bind(has_permission=has_permission)
        book = Book.objects.create(title="Emma")
        assert self.reader.ask(binding, action="create", pk=5, data={"title": "x"}) is None
        self.refused(binding, action="update", pk=str(book.pk), data={})
        self.refused(binding, action="delete", pk=book.pk)
        assert asked == [
            (False, "create", None, "books"),
            (False, "update", str(book.pk), "books"),
            (False, "delete", book.pk, "books"),
        ]

    def test_has_permission_may_look_up_a_missing_row(self) -> None:
        binding = bind(has_permission=lambda self, user, action, pk: Book.objects.get(pk=pk).pages == 1)
        assert self.refused(binding, action="delete", pk=99) == ("This does not exist.", {})
        assert self.refused(binding, action="delete", pk="emma") == ("This does not exist.", {})


class TestWhatIsRefused(InboundCase):
    def test_requests_of_the_wrong_form(self) -> None:
        binding = bind(group_names=group_of_all)
        for action in (None, "", "drop", 1, ["create"], {}):
            assert "action" in self.refused(binding, action=action, pk=1, data={})[0]
        for pk in (None, True, 1.5, [1], {"a": 1}):
            assert "pk" in self.refused(binding, action="update", pk=pk, data={})[0]
            assert "pk" in self.refused(binding, action="delete", pk=pk)[0]
        for data in (None, [], "x", 1):
            assert "data" in self.refused(binding, action="create", data=data)[0]
            assert "data" in self.refused(binding, action="update", pk=1, data=data)[0]

    def test_long_values_are_not_repeated(self) -> None:
        with self.assertLogs("django.channels", "WARNING") as log:
            answer = self.reader.ask(bind(), action="x" * 1000, pk="y" * 1000)
        assert answer["request"] == {"action": None, "pk": None}
        assert len(log.output[0]) < 300

    def test_rows_that_do_not_exist(self) -> None:
        binding = bind()
        for pk in (99, "99", "emma", "", 10**30, -1, "\0"):
            assert self.refused(binding, action="delete", pk=pk) == ("This does not exist.", {})
            assert self.refused(binding, action="update", pk=pk, data={"title": "x"}) == (
                "This does not exist.",
                {},
            )
        assert self.reader.ask(bind(model=Paper, fields=["name"]), action="delete", pk="x")["action"] == "error"

    def test_values_of_the_wrong_type(self) -> None:
        binding = bind(fields=["__all__"])
        book = Book.objects.create(title="Emma")
        wrong = {
            "title": [{}, [], True],
            "pages": ["x", {}, [], 1e400],
            "shelf": ["x", {}, [1], True, 99],
            "is_secret": ["maybe", {}, 2, None],
            "price": ["x", {}, []],
            "published": ["x", {}, [], 5],
            "tags": [1, "x", None, [99], [{}], [True], ["x"]],
        }
        for name, values in wrong.items():
            for value in values:
                if value == 1e400:  # it is not JSON
                    continue
                text, errors = self.refused(binding, action="update", pk=book.pk, data={name: value})
                assert text == "This is not valid."
                assert list(errors) == [name]

    def test_values_that_the_model_refuses(self) -> None:
        binding = bind(fields=["__all__"])
        Book.objects.create(title="Emma")
        book = Book.objects.create(title="Persuasion")
        assert self.refused(binding, action="update", pk=book.pk, data={"pages": 0, "title": "x" * 21}) == (
            "This is not valid.",
            {
                "title": ["Ensure this value has at most 20 characters (it has 21)."],
                "pages": ["Ensure this value is greater than or equal to 1."],
            },
        )
        assert self.refused(binding, action="create", data={"title": "Emma"})[1] == {
            "title": ["Book with this Title already exists."]
        }
        assert self.refused(binding, action="create", data={})[1] == {"title": ["This field cannot be blank."]}
        assert self.refused(binding, action="update", pk=book.pk, data={"title": None})[1] == {
            "title": ["This field cannot be null."]
        }

    def test_fields_that_were_not_written_are_not_validated(self) -> None:
        binding = bind(fields=["title", "pages"])
        Book.objects.bulk_create([Book(title="Emma", pages=-1)])
        book = Book.objects.get()
        assert self.reader.ask(binding, action="update", pk=book.pk, data={"title": "x"}) is None

    def test_requests_that_the_binding_refuses(self) -> None:
        def validate(self: Any, instance: Book, exclude: set[str]) -> None:
            raise ValidationError("Not today.")

        assert self.refused(bind(validate=validate), action="create", data={"title": "x"}) == (
            "This is not valid.",
            {"__all__": ["Not today."]},
        )

    def test_legacy_projects_are_not_validated_but_the_database_is_asked(self) -> None:
        binding = bind(fields=["title", "pages"])
        with mock.patch.object(base, "legacy_is_active", return_value=True):
            assert self.reader.ask(binding, action="create", data={"pages": 0}) is None
            assert Book.objects.get().title == ""
            assert self.refused(binding, action="create", data={"pages": 1})[0] == (
                "This conflicts with data that exists."
            )

    def test_errors_of_the_server_reveal_nothing(self) -> None:
        def update(self: Any, pk: Any, data: Any) -> None:
            Book.objects.update(title="half done")
            raise KeyError("the secret")

        binding = bind(update=update)
        book = Book.objects.create(title="Emma")
        with pytest.raises(KeyError), self.assertLogs("django.channels", "WARNING"):
            self.reader.ask(binding, action="update", pk=book.pk, data={})
        assert self.reader.receive()["payload"] == {
            "action": "error",
            "request": {"action": "update", "pk": book.pk},
            "error": "The server failed to do this.",
            "errors": {},
            "model": "library.book",
        }
        assert Book.objects.get().title == "Emma"

    def test_exceptions_for_the_worker_are_left_to_it(self) -> None:
        def delete(self: Any, pk: Any) -> None:
            raise ConsumeLater

        assert self.reader.ask(bind(delete=delete), action="delete", pk=1) is None
        assert self.reader.get_next_message("websocket.receive")["__retries__"] == 1

    def test_requests_without_a_reply_channel(self) -> None:
        binding = bind(channel_session_user=False)
        with apply_routes([route("books", binding.consumer)]), self.assertLogs("django.channels", "WARNING"):
            for text in ("{", "[]", "NaN", "[" * 100_000):
                Channel("books").send({"text": text})
                self.reader.consume("books")


class TestRaces(TransactionChannelTestCase):
    def test_a_name_that_another_has_taken_meanwhile(self) -> None:
        def validate(self: Any, instance: Book, exclude: set[str]) -> None:
            Book.objects.create(title="Emma")

        reader = Reader()
        with self.assertLogs("django.channels", "WARNING"):
            answer = reader.ask(bind(validate=validate), action="create", data={"title": "Emma"})
        assert answer["error"] == "This conflicts with data that exists."
        assert not Book.objects.exists()  # it was in the same transaction


everything = [field for field in fields.writable(fields.selected(Book, ["__all__"], None)) if field.name != "tags"]


@given(st.fixed_dictionaries({}, optional={field.name: contents for field in everything if field.concrete}))
def test_any_value_is_taken_or_refused(data: dict[str, Any]) -> None:
    written = [field for field in everything if field.name in data and not field.many_to_many]
    with contextlib.suppress(ValidationError):
        fields.assign(Book(), written, data)
