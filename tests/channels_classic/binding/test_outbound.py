"""The messages to clients about changes."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from django.db.models import F

from channels_classic import channel_layers
from channels_classic.binding import Binding, announce_changes
from channels_classic.binding.base import CREATE, DELETE, UPDATE
from channels_classic.binding.websockets import WebsocketBinding, WebsocketBindingWithMembers
from channels_classic.test import ChannelTestCase
from tests.channels_classic.binding.client import Reader, bind
from tests.channels_classic.binding.library.models import (
    Book,
    BookProxy,
    Chapter,
    Code,
    Novel,
    Paper,
    Shelf,
    Tag,
)


class OutboundCase(ChannelTestCase):
    def setUp(self) -> None:
        self.shelf = Shelf.objects.create(name="one")
        self.other_shelf = Shelf.objects.create(name="two")
        self.reader = Reader(f"shelf-{self.shelf.pk}")
        self.other = Reader(f"shelf-{self.other_shelf.pk}")

    def book(self, title: str = "Emma", **attrs: Any) -> Book:
        """A book on the shelf that readers know."""
        book = Book.objects.create(**{"title": title, "shelf": self.shelf, **attrs})
        self.reader.told()
        self.other.told()
        return book


class TestChanges(OutboundCase):
    def test_create_update_delete(self) -> None:
        bind()
        book = Book.objects.create(title="Emma", shelf=self.shelf)
        assert self.reader.receive() == {
            "stream": "books",
            "payload": {
                "action": "create",
                "pk": book.pk,
                "data": {"title": "Emma", "pages": 1},
                "model": "library.book",
            },
        }
        book.pages = 2
        book.save()
        pk = book.pk
        book.delete()
        assert self.reader.told() == [
            ("update", pk, {"title": "Emma", "pages": 2}),
            ("delete", pk, {"title": "Emma", "pages": 2}),
        ]
        assert self.other.told() == []

    def test_later_members_do_not_get_earlier_changes(self) -> None:
        bind()
        Book.objects.get_or_create(title="Emma", shelf=self.shelf)
        reader = Reader(f"shelf-{self.shelf.pk}")
        Book.objects.get().delete()
        Book.objects.create(title="Emma", shelf=self.shelf)
        assert self.reader.actions() == ["create", "delete", "create"]
        assert reader.actions() == ["delete", "create"]

    def test_moving_between_groups(self) -> None:
        bind()
        book = self.book()
        book.shelf = self.other_shelf
        book.title = "Persuasion"
        book.save()
        # Who sees it no more is told what was there to be seen, and nothing new.
        assert self.reader.told() == [("delete", book.pk, {"title": "Emma", "pages": 1})]
        assert self.other.told() == [("create", book.pk, {"title": "Persuasion", "pages": 1})]
        book.shelf = None
        book.save()
        assert self.other.actions() == ["delete"]
        book.shelf = self.shelf
        book.save()
        assert self.reader.actions() == ["create"]

    def test_staying_in_one_group_and_leaving_another(self) -> None:
        bind(group_names=lambda self, book: ["staff"] if book.is_secret else ["staff", "public"])
        staff, public, both = Reader("staff"), Reader("public"), Reader("staff", "public")
        book = Book.objects.create(title="Emma")
        assert (staff.actions(), public.actions()) == (["create"], ["create"])
        both.told()
        Book.objects.filter(pk=book.pk).update(title="Secret")  # without a signal
        book = Book.objects.get()
        book.is_secret = True
        book.save()
        assert (staff.actions(), public.actions(), both.actions()) == (
            ["update"],
            ["delete"],
            ["delete", "update"],
        )

    def test_what_others_moved_is_noticed_too(self) -> None:
        bind()
        book, same = self.book(), Book.objects.get()
        same.shelf = self.other_shelf
        same.save()
        self.reader.told(), self.other.told()
        book.save()  # with the shelf that it was on when it was read
        assert (self.reader.actions(), self.other.actions()) == (["create"], ["delete"])

    def test_an_instance_that_was_never_read(self) -> None:
        bind()
        book = self.book()
        Book(pk=book.pk, title="Emma", shelf=self.other_shelf).save()
        assert (self.reader.actions(), self.other.actions()) == (["delete"], ["create"])
        Book(pk=str(book.pk), title="Emma", shelf=self.shelf).save()
        assert (self.reader.actions(), self.other.actions()) == (["create"], ["delete"])
        Book(pk=1000, title="Sanditon", shelf=self.shelf).save()
        assert self.reader.actions() == ["create"]
        book = Book(pk=book.pk)
        book.delete()
        assert self.reader.actions() == ["delete"]

    def test_unsaved_attributes_are_not_sent(self) -> None:
        bind()
        book = self.book()
        book.title, book.pages = "unsaved", 5
        book.save(update_fields=["pages"])
        assert self.reader.told() == [("update", book.pk, {"title": "Emma", "pages": 5})]

    def test_values_as_the_database_has_them(self) -> None:
        bind(fields=["pages", "price", "published"])
        book = Book.objects.create(
            title="Emma", shelf=self.shelf, pages="7", price="1.5", published="2026-01-02T03:04Z"
        )
        assert self.reader.told() == [
            ("create", book.pk, {"pages": 7, "price": "1.50", "published": "2026-01-02T03:04:00Z"})
        ]
        book = Book.objects.get()
        book.pages = F("pages") + 1
        book.save()
        assert self.reader.told()[0][2]["pages"] == 8

    def test_quersets_delete_one_by_one_and_what_goes_along(self) -> None:
        bind()

        class ChapterBinding(WebsocketBinding):
            model = Chapter
            stream = "chapters"
            fields = ["heading"]

            @classmethod
            def group_names(cls, instance: Chapter) -> list[str]:
                return [f"shelf-{instance.book.shelf_id}"]

        first, second = self.book("1"), self.book("2")
        for book in (first, second):
            book.chapter_set.create(heading=f"in {book.title}")
        assert self.reader.actions() == ["create", "create"]
        Book.objects.filter(title="1").delete()
        assert sorted(data.get("heading", "book") for _, _, data in self.reader.told()) == ["book", "in 1"]
        self.shelf.delete()
        assert sorted(data.get("heading", "book") for _, _, data in self.reader.told()) == ["book", "in 2"]

    def test_a_deletion_of_what_was_changed_and_not_saved(self) -> None:
        bind()
        book = self.book()
        book.title, book.shelf, pk = "unsaved", self.other_shelf, book.pk
        book.delete()
        assert self.reader.told() == [("delete", pk, {"title": "Emma", "pages": 1})]
        assert self.other.told() == []

    def test_nothing_is_left_on_instances(self) -> None:
        bind()
        book = self.book()
        book.tags.add(Tag.objects.create(name="t"))
        assert not [name for name in vars(book) if "channels" in name]

    def test_get_or_create_and_update_or_create(self) -> None:
        bind()
        Book.objects.get_or_create(title="Emma", defaults={"shelf": self.shelf})
        assert self.reader.actions() == ["create"]
        Book.objects.get_or_create(title="Emma")
        assert self.reader.actions() == []
        Book.objects.update_or_create(title="Emma", defaults={"pages": 3})
        assert self.reader.told()[0][2]["pages"] == 3

    def test_an_empty_payload_is_not_sent(self) -> None:
        bind(serialize=lambda self, instance, action: {})
        self.book()
        assert self.reader.told() == []

    def test_other_arguments_of_the_signal(self) -> None:
        seen = []

        def serialize_data(self: WebsocketBinding, instance: Any) -> dict[str, Any]:
            seen.append(self.signal_kwargs.get("update_fields"))
            return {}

        bind(serialize_data=serialize_data)
        book = self.book()
        del seen[:]
        book.save(update_fields=["pages"])
        self.reader.told()
        assert set(seen) == {frozenset({"pages"})}

    def test_send_messages_can_be_overridden(self) -> None:
        calls = []

        class Noting(bind(model=None)):  # type: ignore[misc]
            model = Book

            def send_messages(self, instance: Any, group_names: Any, action: str, **kwargs: Any) -> None:
                calls.append((instance.title, set(group_names), action))
                super().send_messages(instance, group_names, action, **kwargs)

        book = Book.objects.create(title="Emma", shelf=self.shelf)
        assert self.reader.actions() == ["create"]
        assert calls == [("Emma", {f"shelf-{self.shelf.pk}"}, CREATE)]
        book.title, book.shelf = "Persuasion", None
        book.save()
        assert self.reader.actions() == ["delete"]
        assert calls[1:] == [("Emma", {f"shelf-{self.shelf.pk}"}, DELETE)]


class TestManyToMany(OutboundCase):
    def setUp(self) -> None:
        super().setUp()
        self.tags = [Tag.objects.create(name=name) for name in "abc"]
        self.keys = [tag.pk for tag in self.tags]
        bind(fields=["tags", "similar"])

    def told_tags(self) -> list[list[int]]:
        return [sorted(data["tags"]) for action, _, data in self.reader.told() if action == "update"]

    def test_from_the_instance(self) -> None:
        a, b, c = self.keys
        book = self.book()
        book.tags.add(*self.tags[:2])
        assert self.told_tags() == [[a, b]]
        book.tags.remove(a)
        assert self.told_tags() == [[b]]
        book.tags.set([a, c])
        assert self.told_tags() == [[a, c]]
        book.tags.set([c, a])
        book.tags.add(a)
        assert self.told_tags() == []
        book.tags.clear()
        assert self.told_tags() == [[]]
        book.tags.clear()
        assert self.told_tags() == []

    def test_from_the_other_end(self) -> None:
        first, second = self.book("1"), self.book("2")
        tag = self.tags[0]
        tag.book_set.add(first, second)
        assert self.told_tags() == [[tag.pk], [tag.pk]]
        tag.book_set.remove(first)
        assert self.told_tags() == [[]]
        tag.book_set.clear()
        assert self.told_tags() == [[]]

    def test_symmetrical(self) -> None:
        first, second = self.book("1"), self.book("2")
        first.similar.add(second)
        told = {pk: data["similar"] for _, pk, data in self.reader.told()}
        assert told == {first.pk: [second.pk], second.pk: [first.pk]}
        second.similar.clear()
        told = {pk: data["similar"] for _, pk, data in self.reader.told()}
        assert told == {first.pk: [], second.pk: []}

    def test_groups_that_depend_on_it(self) -> None:
        bind(group_names=lambda self, book: [f"tag-{tag.pk}" for tag in book.tags.all()])
        reader = Reader(f"tag-{self.keys[0]}")
        book = self.book()
        book.tags.set(self.tags[:2])
        assert reader.actions() == ["create"]
        book.tags.remove(self.tags[1])
        assert reader.actions() == ["update"]
        book.tags.clear()
        assert reader.actions() == ["delete"]


class TestClasses(OutboundCase):
    """A row that is an instance of several classes."""

    def test_a_proxy_is_its_model_and_the_other_way_round(self) -> None:
        bind()
        bind(model=BookProxy, stream="proxies")
        for model in (Book, BookProxy):
            book = model(title=model.__name__, shelf=self.shelf)
            book.save()
            streams = [self.reader.receive()["stream"] for _ in range(2)]
            assert sorted(streams) == ["books", "proxies"]
            book.delete()
            assert self.reader.actions() == ["delete", "delete"]

    def test_the_instance_is_of_the_bindings_model(self) -> None:
        seen = []
        bind(model=BookProxy, serialize_data=lambda self, instance: seen.append(type(instance)) or {})
        self.book()
        self.reader.told()
        assert set(seen) == {BookProxy}

    def test_a_child_is_one_of_its_parent(self) -> None:
        bind()
        bind(model=Novel, stream="novels", fields=["title", "hero"])
        novel = Novel.objects.create(title="Emma", hero="Emma", shelf=self.shelf)
        frames = {frame["stream"]: frame["payload"] for frame in (self.reader.receive(), self.reader.receive())}
        assert frames["books"]["data"] == {"title": "Emma", "pages": 1}
        assert frames["novels"]["data"] == {"title": "Emma", "hero": "Emma"}
        novel.pages = 2
        novel.save()
        assert sorted(data.get("pages", 0) for _, _, data in self.reader.told()) == [0, 2]
        novel.delete()
        assert self.reader.actions() == ["delete", "delete"]

    def test_a_key_that_is_not_an_integer(self) -> None:
        bind(model=Paper, fields=["name"], group_names=lambda self, paper: ["papers"])
        bind(model=Code, fields=["text"], group_names=lambda self, code: ["papers"])
        reader = Reader("papers")
        paper = Paper.objects.create(name="a")
        code = Code.objects.create(code="x", text="b")
        assert reader.told() == [("create", str(paper.pk), {"name": "a"}), ("create", "x", {"text": "b"})]
        paper.save()
        code.save()
        assert reader.actions() == ["update", "update"]
        Code(code="x", text="c").save()
        assert reader.told() == [("update", "x", {"text": "c"})]
        code.delete()
        Paper.objects.all().delete()
        assert reader.actions() == ["delete", "delete"]


class TestFields(OutboundCase):
    def test_all(self) -> None:
        for fields in ("__all__", ["__all__"], ("__all__",)):
            binding = bind(fields=fields)
            assert [field.name for field in binding.selected_fields()] == [
                "title",
                "pages",
                "shelf",
                "is_secret",
                "price",
                "published",
                "details",
                "cover",
                "inventory",
                "changed",
                "tags",
                "similar",
            ]

    def test_exclude(self) -> None:
        binding = bind(exclude=["title", "tags", "similar", "cover", "changed"])
        book = self.book(details={"a": [1]})
        assert binding().serialize_data(book) == {
            "pages": 1,
            "shelf": self.shelf.pk,
            "is_secret": False,
            "price": None,
            "published": None,
            "details": {"a": [1]},
            "inventory": "",
        }

    def test_unknown_names_and_keys_are_left_out(self) -> None:
        assert [field.name for field in bind(fields=("pages", "id", "shout")).selected_fields()] == ["pages"]

    def test_members(self) -> None:
        class WithMembers(WebsocketBindingWithMembers):
            model = Book
            stream = "books"
            fields = ["title"]
            send_members = ["shout", "page_count", "shelf.name", "pk", "changed"]

            @classmethod
            def group_names(cls, instance: Book) -> list[str]:
                return [f"shelf-{instance.shelf_id}"]

        book = Book.objects.create(title="Emma", shelf=self.shelf)
        ((_, _, data),) = self.reader.told()
        assert isinstance(data.pop("changed"), str)
        assert data == {"title": "Emma", "shout": "EMMA", "page_count": 1, "shelf__name": "one", "pk": book.pk}


class TestGroupNames(OutboundCase):
    def test_as_it_was_before_channels_1(self) -> None:
        actions = []

        def group_names(self: Any, instance: Any, action: str) -> list[str]:
            actions.append(action)
            return ["old"]

        bind(group_names=group_names)
        bind(group_names=classmethod(group_names))
        reader = Reader("old")
        self.book().save()
        assert reader.actions() == ["create", "create", "update", "update"]
        assert set(actions) == {CREATE, UPDATE, DELETE}, "before a change it is asked who would hear of a deletion"

    def test_a_group_for_each_action(self) -> None:
        """``channels_api`` has such groups: its clients subscribe to an action."""

        def group_names(self: Any, instance: Any, action: str) -> list[str]:
            return [f"book-{action}", f"book-{action}-{instance.pk}"]

        bind(group_names=group_names)
        readers = {action: Reader(f"book-{action}") for action in (CREATE, UPDATE, DELETE)}
        book = self.book()
        one = Reader(f"book-delete-{book.pk}")
        book.save()
        with transaction.atomic():
            book.save()
            book.delete()
        assert {action: reader.actions() for action, reader in readers.items()} == {
            CREATE: [CREATE],
            UPDATE: [UPDATE],
            DELETE: [DELETE],
        }
        assert one.actions() == [DELETE]

    def test_any_arguments(self) -> None:
        bind(group_names=classmethod(lambda cls, *args, **kwargs: [f"with-{len(args)}"]))
        bind(group_names=lambda self, instance, extra=None: ["with-1"])
        reader = Reader("with-1")
        self.book()
        assert reader.actions() == ["create", "create"]

    def test_a_str_instead_of_a_list(self) -> None:
        bind(group_names=lambda self, instance: "abc")
        with pytest.raises(TypeError, match="must give a list of names, not the str 'abc'"):
            Book.objects.create(title="Emma")

    def test_missing(self) -> None:
        bind(group_names=Binding.__dict__["group_names"])
        with pytest.raises(NotImplementedError, match=r"BookBinding has to define group_names\(instance\)"):
            Book.objects.create(title="Emma")


class TestWithoutSignals(OutboundCase):
    def test_update(self) -> None:
        bind()
        for title in "12":
            self.book(title)
        self.book("3", shelf=None)
        with self.assertNumQueries(0):
            assert self.reader.told() == []
        Book.objects.update(pages=2)
        assert self.reader.told() == []
        with announce_changes(Book.objects.all()):
            Book.objects.update(shelf=self.other_shelf)
        assert (self.reader.actions(), self.other.actions()) == (["delete"] * 2, ["create"] * 3)

    def test_bulk_create(self) -> None:
        bind()
        books = [Book(title=title, shelf=self.shelf) for title in "12"]
        with announce_changes(books):
            Book.objects.bulk_create(books)
        assert [data["title"] for _, _, data in self.reader.told()] == ["1", "2"]

    def test_bulk_update_and_a_deletion_without_signals(self) -> None:
        bind()
        books = [self.book("1"), self.book("2")]
        with announce_changes(books):
            books[0].pages = 5
            Book.objects.bulk_update(books, ["pages"])
            Book.objects.filter(pk=books[1].pk)._raw_delete("default")
        assert [(action, data["pages"]) for action, _, data in self.reader.told()] == [
            ("update", 5),
            ("delete", 1),
        ]

    def test_a_block_that_raises(self) -> None:
        bind()
        self.book()
        with pytest.raises(KeyError), announce_changes(Book.objects.all()):
            raise KeyError
        assert self.reader.told() == []

    def test_models_without_bindings(self) -> None:
        with announce_changes(Shelf.objects.all()):
            Shelf.objects.update(name="x")
        assert channel_layers["default"].group_channels(f"shelf-{self.shelf.pk}") == [self.reader.reply_channel]
