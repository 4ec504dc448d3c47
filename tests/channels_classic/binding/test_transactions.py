"""Messages about transactions: clients get what was committed, once."""

from __future__ import annotations

import contextvars
import json
import uuid
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channels_classic import route
from channels_classic.binding import announce_changes, changes
from channels_classic.binding.commits import READ_AT_ONCE
from channels_classic.test import ChannelTestCase, TransactionChannelTestCase, apply_routes, in_memory_layers
from tests.channels_classic.binding.client import Reader, bind
from tests.channels_classic.binding.library.models import Book, Shelf, Tag


class UndoError(Exception):
    """Rolls a transaction back."""


class TestTransactions(TransactionChannelTestCase):
    def setUp(self) -> None:
        self.shelf = Shelf.objects.create(name="one")
        self.other_shelf = Shelf.objects.create(name="two")
        self.reader = Reader(f"shelf-{self.shelf.pk}")
        self.other = Reader(f"shelf-{self.other_shelf.pk}")
        bind(fields=["title", "pages", "tags"])

    def create(self, title: str = "Emma", **attrs: Any) -> Book:
        return Book.objects.create(**{"title": title, "shelf": self.shelf, **attrs})

    def titles(self) -> list[tuple[str, str]]:
        return [(action, data["title"]) for action, _, data in self.reader.told()]

    def test_without_one(self) -> None:
        book = self.create()
        assert self.reader.actions() == ["create"]
        book.save()
        assert self.reader.actions() == ["update"]
        book.delete()
        assert self.reader.actions() == ["delete"]

    def test_nothing_before_the_commit(self) -> None:
        with transaction.atomic():
            self.create()
            with transaction.atomic():
                self.create("Persuasion")
            assert self.reader.actions() == []
        assert self.titles() == [("create", "Emma"), ("create", "Persuasion")]

    def test_nothing_of_what_is_rolled_back(self) -> None:
        book = self.create()
        self.reader.told()
        for change in (
            lambda: self.create("Persuasion"),
            book.save,
            lambda: book.tags.add(Tag.objects.create(name="t")),
            lambda: Book.objects.get().delete(),
        ):
            try:
                with transaction.atomic():
                    change()
                    raise UndoError
            except UndoError:
                pass
            self.create("Sanditon").delete()
            assert self.titles() == [("create", "Sanditon"), ("delete", "Sanditon")]

    def test_a_part_that_is_rolled_back(self) -> None:
        with transaction.atomic():
            book = self.create()
            try:
                with transaction.atomic():
                    self.create("Persuasion")
                    book.title, book.shelf = "undone", self.other_shelf
                    book.save()
                    raise UndoError
            except UndoError:
                pass
        # The instance still has what was rolled back; the database has not.
        assert self.titles() == [("create", "Emma")]
        assert self.other.told() == []

    def test_a_change_after_one_that_was_rolled_back(self) -> None:
        book = self.create()
        self.reader.told()
        with transaction.atomic():
            try:
                with transaction.atomic():
                    Book.objects.get().delete()
                    raise UndoError
            except UndoError:
                pass
            book.title = "Persuasion"
            book.save()
        assert self.titles() == [("update", "Persuasion")]

    def test_one_message_with_what_was_committed(self) -> None:
        with transaction.atomic():
            book = self.create()
            book.pages = 2
            book.save()
            book.tags.add(Tag.objects.create(name="t"))
            with transaction.atomic():
                book.pages = 3
                book.save()
            book.pages = 4  # and not saved
        assert self.reader.told() == [
            ("create", book.pk, {"title": "Emma", "pages": 3, "tags": [Tag.objects.get().pk]})
        ]

    def test_rows_that_others_never_saw_are_not_sent(self) -> None:
        with transaction.atomic():
            book = self.create(title="a secret")
            book.shelf = self.other_shelf
            book.save()
        assert (self.reader.actions(), self.other.actions()) == ([], ["create"])
        with transaction.atomic():
            self.create("gone").delete()
        assert self.reader.actions() == []

    def test_members_of_former_groups_get_only_the_deletion(self) -> None:
        book = self.create("known")
        self.reader.told()
        with transaction.atomic():
            book.title = "a secret"
            book.save()
            book.shelf = self.other_shelf
            book.save()
        assert self.titles() == [("delete", "known")]
        assert self.other.actions() == ["create"]
        book.shelf, book.title = self.shelf, "known"
        book.save()
        self.reader.told()
        with transaction.atomic():
            book.title = "a secret"
            book.save()
            book.delete()
        assert self.titles() == [("delete", "known")]

    def test_away_and_back_is_an_update(self) -> None:
        book = self.create()
        self.reader.told()
        with transaction.atomic():
            book.shelf = self.other_shelf
            book.save()
            book.shelf = self.shelf
            book.save()
        assert (self.reader.actions(), self.other.actions()) == (["update"], [])

    def test_deleted_and_made_anew_is_an_update(self) -> None:
        book = self.create()
        self.reader.told()
        with transaction.atomic():
            pk = book.pk
            book.delete()
            self.create("Persuasion", pk=pk)
        assert self.titles() == [("update", "Persuasion")]

    def test_one_transaction_after_another(self) -> None:
        book = self.create()
        for pages in (2, 3):
            with transaction.atomic():
                book.pages = pages
                book.save()
        assert [data["pages"] for _, _, data in self.reader.told()] == [1, 2, 3]

    def test_changes_by_functions_that_wait_for_the_commit(self) -> None:
        def rename(title: str) -> None:
            with transaction.atomic():
                book = Book.objects.get()
                book.title = title
                book.save()

        with transaction.atomic():
            transaction.on_commit(lambda: rename("before"))
            self.create("first")
            transaction.on_commit(lambda: rename("after"))
        assert self.titles() == [("update", "before"), ("create", "before"), ("update", "after")]

    def test_without_signals(self) -> None:
        book = self.create()
        self.reader.told()
        with transaction.atomic(), announce_changes([book]):
            Book.objects.update(pages=7)
        assert [data["pages"] for _, _, data in self.reader.told()] == [7]
        try:
            with transaction.atomic():
                with announce_changes([book]):
                    Book.objects.update(pages=8)
                raise UndoError
        except UndoError:
            pass
        assert self.reader.told() == []

    def test_many_rows_are_read_by_few_queries(self) -> None:
        Book.objects.bulk_create(Book(title=str(number)) for number in range(READ_AT_ONCE + 1))
        # The queryset, the update, begin and end; before and after it, two for the rows.
        with self.assertNumQueries(4 + 4), transaction.atomic(), announce_changes(Book.objects.all()):
            Book.objects.update(pages=2)

    def test_transactions_by_hand(self) -> None:
        transaction.set_autocommit(False)
        try:
            self.create()
            assert self.reader.actions() == ["create"]
            transaction.commit()
        finally:
            transaction.rollback()
            transaction.set_autocommit(True)

    def test_errors_after_the_commit_do_not_reach_the_caller(self) -> None:
        def serialize_data(self: Any, instance: Any) -> Any:
            raise KeyError("bug")

        bind(serialize_data=serialize_data)
        bind(stream="last")
        with self.assertLogs("django.channels", "ERROR") as log:
            book = self.create()
        assert Book.objects.get() == book
        assert f"Clients were not told that library.Book {book.pk} has changed" in log.output[0]
        assert "KeyError: 'bug'" in log.output[0]
        assert self.reader.actions() == ["create", "create"]  # by the bindings before and after it
        with self.assertLogs("django.channels", "ERROR") as log:
            book.save()
        assert f"Could not find out what clients know of library.Book {book.pk}" in log.output[0]
        assert self.reader.actions() == ["update", "update"]
        bind(serialize_data=serialize_data)
        with self.assertLogs("django.channels", "ERROR") as log:
            self.create("Persuasion")
        assert log.output[0].count("KeyError: 'bug'") == 2


class Consumers:
    """Changes of consumers are sent when they are done, in both kinds of test cases."""

    def setUp(self) -> None:
        self.shelf = Shelf.objects.create(name="one")
        self.reader = Reader(f"shelf-{self.shelf.pk}")
        bind()

    def run_consumer(self, consumer: Callable[[Any], None]) -> None:
        with apply_routes([route("work", consumer)]):
            self.reader.send_and_consume("work")

    def test_changes_are_sent_once_behind_the_messages_of_the_consumer(self) -> None:
        def consumer(message: Any) -> None:
            book = Book.objects.create(title="Emma", shelf=self.shelf)
            with transaction.atomic():
                book.pages = 2
                book.save()
            book.pages = 3
            book.save()
            with transaction.atomic():
                book.pages = 4
                book.save()
            assert self.reader.told() == []
            reply = {"action": "sent", "pk": 0, "data": None}
            message.reply_channel.send({"text": json.dumps({"payload": reply})})

        self.run_consumer(consumer)
        (sent, created) = self.reader.told()
        assert sent[0] == "sent"
        assert (created[0], created[2]) == ("create", {"title": "Emma", "pages": 4})

    def test_overwritten_states_are_not_sent(self) -> None:
        book = Book.objects.create(title="Emma", shelf=self.shelf)
        self.reader.told()

        def consumer(message: Any) -> None:
            book.pages = 2
            book.save()
            other = contextvars.Context().run(Book.objects.get)
            other.pages = 3
            contextvars.Context().run(other.save)  # as in another process, and done at once

        self.run_consumer(consumer)
        assert [data["pages"] for _, _, data in self.reader.told()] == [3, 3]

    def test_changes_of_a_failed_consumer_are_sent(self) -> None:
        def consumer(message: Any) -> None:
            Book.objects.create(title="Emma", shelf=self.shelf)
            try:
                with transaction.atomic():
                    Book.objects.create(title="undone", shelf=self.shelf)
                    raise UndoError
            except UndoError:
                pass
            raise KeyError("bug")

        with pytest.raises(KeyError):
            self.run_consumer(consumer)
        assert [data["title"] for _, _, data in self.reader.told()] == ["Emma"]

    def test_one_consumer_after_another(self) -> None:
        def consumer(message: Any) -> None:
            Book.objects.create(title=f"{Book.objects.count()}", shelf=self.shelf)

        for number in range(3):
            self.run_consumer(consumer)
            assert [data["title"] for _, _, data in self.reader.told()] == [str(number)]


class TestConsumers(Consumers, TransactionChannelTestCase):
    pass


class TestConsumersInATestCase(Consumers, ChannelTestCase):
    pass


class TestInATestCase(ChannelTestCase):
    """The transaction of a test does not keep changes from being sent."""

    def setUp(self) -> None:
        self.shelf = Shelf.objects.create(name="one")
        self.reader = Reader(f"shelf-{self.shelf.pk}")
        bind()

    def test_transactions_in_it_are_as_elsewhere(self) -> None:
        with transaction.atomic():
            book = Book.objects.create(title="Emma", shelf=self.shelf)
            assert self.reader.actions() == []
            book.save()
        assert self.reader.actions() == ["create"]
        try:
            with transaction.atomic():
                book.delete()
                raise UndoError
        except UndoError:
            pass
        assert self.reader.actions() == []

    def test_other_functions_that_wait_for_a_commit_are_left_alone(self) -> None:
        called: list[int] = []
        with self.captureOnCommitCallbacks() as hooks:
            transaction.on_commit(lambda: called.append(1))
            with transaction.atomic():
                Book.objects.create(title="Emma", shelf=self.shelf)
            assert self.reader.actions() == ["create"]
        assert called == []
        hooks[0]()
        assert called == [1]


# Any history of an instance: what a client has put together from what it was told is what the database has.

STEPS = st.recursive(
    st.sampled_from(
        [("save", 1), ("save", 2), ("move", 0), ("move", 1), ("move", None), ("delete",), ("create",)]
    ),
    lambda steps: st.tuples(st.sampled_from(["commit", "undo"]), st.lists(steps, max_size=4)),
    max_leaves=12,
)


@pytest.mark.django_db(transaction=True)
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, max_size=8))
def test_clients_have_what_the_database_has(steps: list[Any]) -> None:
    Shelf.objects.all().delete()
    Book.objects.all().delete()
    shelves = [Shelf.objects.create(name=name) for name in "ab"]
    with mock.patch.object(changes, "_listeners", {}), in_memory_layers():
        bind()
        readers = [Reader(f"shelf-{shelf.pk}") for shelf in shelves]
        seen: list[dict[int, Any]] = [{}, {}]
        for step in steps:
            take(step, shelves)
            for reader, shelf, known in zip(readers, shelves, seen, strict=True):
                for action, pk, data in reader.told():
                    assert (pk in known) == (action != "create")
                    known[pk] = data
                    if action == "delete":
                        del known[pk]
                books = Book.objects.filter(shelf=shelf)
                assert known == {book.pk: {"title": book.title, "pages": book.pages} for book in books}


def take(step: Any, shelves: list[Shelf]) -> None:
    if step[0] in ("commit", "undo"):
        try:
            with transaction.atomic():
                for inner in step[1]:
                    take(inner, shelves)
                if step[0] == "undo":
                    raise UndoError
        except UndoError:
            pass
        return
    book = Book.objects.first()
    if step[0] == "create":
        Book.objects.create(title=uuid.uuid4().hex[:20], shelf=shelves[0])
    elif book is not None:
        if step[0] == "save":
            book.pages = step[1]
            book.save()
        elif step[0] == "move":
            book.shelf = None if step[1] is None else shelves[step[1]]
            book.save()
        else:
            book.delete()
