"""Bindings that override the receivers of Channels 1, and code that calls them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import Model
from django.db.models.signals import post_save

from channels_classic import channel_layers
from channels_classic.binding import announce_changes
from channels_classic.binding.base import CREATE, DELETE, UPDATE, BindingMetaclass
from channels_classic.binding.websockets import WebsocketBinding
from channels_classic.pending import PendingSends
from channels_classic.signals import consumer_finished
from channels_classic.test import ChannelTestCase, TransactionChannelTestCase
from tests.channels_classic.binding.client import Reader, bind
from tests.channels_classic.binding.library.models import Book, BookProxy, Chapter, Paper, Shelf, Tag


def visible(cls: Any, book: Any) -> Iterable[str]:
    return ["all"]


class Recorder(WebsocketBinding):
    """Overrides all receivers, like a project that watches changes."""

    model = None
    calls: list[Any] = []

    @classmethod
    def pre_save_receiver(cls, instance: Any, **kwargs: Any) -> None:
        cls.calls.append("pre_save")
        super().pre_save_receiver(instance, **kwargs)

    @classmethod
    def post_save_receiver(cls, instance: Any, created: bool, **kwargs: Any) -> None:
        cls.calls.append(("post_save", created))
        super().post_save_receiver(instance, created, **kwargs)

    @classmethod
    def pre_delete_receiver(cls, instance: Any, **kwargs: Any) -> None:
        cls.calls.append("pre_delete")
        super().pre_delete_receiver(instance, **kwargs)

    @classmethod
    def post_delete_receiver(cls, instance: Any, **kwargs: Any) -> None:
        cls.calls.append("post_delete")
        super().post_delete_receiver(instance, **kwargs)

    @classmethod
    def pre_change_receiver(cls, instance: Any, action: str) -> None:
        cls.calls.append(("pre_change", action))
        super().pre_change_receiver(instance, action)

    @classmethod
    def post_change_receiver(cls, instance: Any, action: str, **kwargs: Any) -> None:
        cls.calls.append(("post_change", action))
        super().post_change_receiver(instance, action, **kwargs)


class TestOverridden(ChannelTestCase):
    def test_all_are_called_and_clients_are_told_as_usual(self) -> None:
        class Recorded(Recorder):
            model = Book
            stream = "books"
            fields = ["title"]
            calls = []

            @classmethod
            def group_names(cls, instance: Any) -> list[str]:
                return ["all"]

        reader = Reader("all")
        book = Book.objects.create(title="Emma")
        book.title = "Persuasion"
        book.save()
        pk = book.pk
        book.delete()
        assert Recorded.calls == [
            "pre_save",
            ("pre_change", CREATE),
            ("post_save", True),
            ("post_change", CREATE),
            "pre_save",
            ("pre_change", UPDATE),
            ("post_save", False),
            ("post_change", UPDATE),
            "pre_delete",
            ("pre_change", DELETE),
            "post_delete",
            ("post_change", DELETE),
        ]
        assert reader.told() == [
            ("create", pk, {"title": "Emma"}),
            ("update", pk, {"title": "Persuasion"}),
            ("delete", pk, {"title": "Persuasion"}),
        ]

    def test_a_change_can_be_kept_back(self) -> None:
        def post_save_receiver(cls: Any, instance: Any, created: bool, **kwargs: Any) -> None:
            if not instance.is_secret:
                super(binding, cls).post_save_receiver(instance, created, **kwargs)

        binding = bind(group_names=classmethod(visible), post_save_receiver=classmethod(post_save_receiver))
        reader = Reader("all")
        Book.objects.create(title="Hidden", is_secret=True)
        Book.objects.create(title="Emma")
        assert [data["title"] for _, _, data in reader.told()] == ["Emma"]

    def test_an_action_can_be_another_one(self) -> None:
        """A row that is only marked as deleted is gone for clients."""

        def post_save_receiver(cls: Any, instance: Any, created: bool, **kwargs: Any) -> None:
            cls.post_change_receiver(instance, DELETE if instance.is_secret else UPDATE, **kwargs)

        bind(group_names=classmethod(visible), post_save_receiver=classmethod(post_save_receiver))
        book = Book.objects.create(title="Emma")
        reader = Reader("all")
        book.title = "Persuasion"
        book.is_secret = True
        book.save()
        assert reader.told() == [("delete", book.pk, {"title": "Emma", "pages": 1})]

    def test_moving_between_groups(self) -> None:
        def pre_change_receiver(cls: Any, instance: Any, action: str) -> None:
            super(binding, cls).pre_change_receiver(instance, action)

        binding = bind(pre_change_receiver=classmethod(pre_change_receiver))
        one, two = Shelf.objects.create(name="one"), Shelf.objects.create(name="two")
        book = Book.objects.create(title="Emma", shelf=one)
        old, new = Reader(f"shelf-{one.pk}"), Reader(f"shelf-{two.pk}")
        book.shelf = two
        book.save()
        assert (old.actions(), new.actions()) == (["delete"], ["create"])

    def test_in_a_mixin(self) -> None:
        class Silent:
            @classmethod
            def post_change_receiver(cls, instance: Any, action: str, **kwargs: Any) -> None:
                pass

        class Quiet(Silent, WebsocketBinding):
            model = Book
            stream = "books"
            fields = ["title"]
            group_names = classmethod(visible)

        reader = Reader("all")
        Book.objects.create(title="Emma")
        assert reader.actions() == []

    def test_beside_a_binding_that_overrides_none(self) -> None:
        def post_change_receiver(cls: Any, instance: Any, action: str, **kwargs: Any) -> None:
            super(loud, cls).post_change_receiver(instance, action, **kwargs)

        loud = bind(
            group_names=classmethod(lambda cls, book: ["loud"]),
            post_change_receiver=classmethod(post_change_receiver),
        )
        bind(group_names=classmethod(lambda cls, book: ["plain"]))
        loud_reader, plain_reader = Reader("loud"), Reader("plain")
        book = Book.objects.create(title="Emma")
        book.tags.add(Tag.objects.create(name="novel"))
        with announce_changes([book]):
            Book.objects.update(pages=2)
        book.delete()
        expected = ["create", "update", "update", "delete"]
        assert (loud_reader.actions(), plain_reader.actions()) == (expected, expected)

    def test_through_a_proxy_and_by_a_cascade(self) -> None:
        class Recorded(Recorder):
            model = Chapter
            stream = "chapters"
            fields = ["heading"]
            group_names = classmethod(visible)

        class RecordedBooks(Recorder):
            model = Book
            stream = "books"
            fields = ["title"]
            group_names = classmethod(visible)

        reader = Reader("all")
        book = BookProxy.objects.create(title="Emma")
        Chapter.objects.create(book_id=book.pk, heading="One")
        book.delete()
        assert sorted(reader.actions()) == ["create", "create", "delete", "delete"]


class TestRegisteredModels(ChannelTestCase):
    def test_of_a_class(self) -> None:
        assert bind(group_names=classmethod(visible)).get_registered_models() == [Book]

        class Base(WebsocketBinding):
            model = None

        assert Base.get_registered_models() == []

    def test_others_than_its_own(self) -> None:
        class Things(WebsocketBinding):
            model = Book
            stream = "things"
            fields = ["pk"]
            group_names = classmethod(visible)

            @classmethod
            def get_registered_models(cls) -> list[type[Model]]:
                return [*super().get_registered_models(), Shelf, Paper]

            def serialize_data(self, instance: Any) -> dict[str, Any]:
                return {"what": type(instance).__name__}

        reader = Reader("all")
        Book.objects.create(title="Emma")
        shelf = Shelf.objects.create(name="one")
        Paper.objects.create(name="News").delete()
        Tag.objects.create(name="novel")
        shelf.delete()
        assert [(action, data["what"]) for action, _, data in reader.told()] == [
            ("create", "Book"),
            ("create", "Shelf"),
            ("create", "Paper"),
            ("delete", "Paper"),
            ("delete", "Shelf"),
        ]

    def test_without_a_model_of_its_own(self) -> None:
        class Shelves(WebsocketBinding):
            stream = "shelves"
            fields = ["name"]
            group_names = classmethod(visible)

            @classmethod
            def get_registered_models(cls) -> list[type[Model]]:
                return [Shelf]

            def serialize(self, instance: Any, action: str) -> dict[str, Any]:
                return {"action": action, "pk": instance.pk, "data": instance.name}

        reader = Reader("all")
        Shelf.objects.create(name="one")
        assert [(action, data) for action, _, data in reader.told()] == [("create", "one")]

    def test_all_binding_classes_can_be_found(self) -> None:
        binding = bind(group_names=classmethod(visible))
        assert binding in BindingMetaclass.binding_classes
        assert WebsocketBinding in BindingMetaclass.binding_classes


class TestCalled(ChannelTestCase):
    """Code that changes rows without signals calls the receivers by hand."""

    def test_before_and_after_an_update(self) -> None:
        binding = bind(group_names=classmethod(visible))
        book = Book.objects.create(title="Emma")
        reader = Reader("all")
        binding.pre_change_receiver(book, UPDATE)
        Book.objects.update(pages=5)
        binding.post_change_receiver(book, UPDATE)
        assert reader.told() == [("update", book.pk, {"title": "Emma", "pages": 5})]

    def test_only_after_it(self) -> None:
        binding = bind(group_names=classmethod(visible))
        book = Book.objects.create(title="Emma")
        reader = Reader("all")
        Book.objects.update(pages=5)
        binding.post_change_receiver(book, UPDATE)
        assert reader.told() == [("update", book.pk, {"title": "Emma", "pages": 5})]

    def test_for_what_was_created_and_deleted(self) -> None:
        binding = bind(group_names=classmethod(visible))
        reader = Reader("all")
        [book] = Book.objects.bulk_create([Book(title="Emma")])
        binding.pre_change_receiver(book, CREATE)
        binding.post_change_receiver(book, CREATE)
        binding.pre_change_receiver(book, DELETE)
        pk = book.pk
        Book.objects.filter(pk=pk)._raw_delete("default")
        binding.post_change_receiver(book, DELETE)
        assert reader.told() == [
            ("create", pk, {"title": "Emma", "pages": 1}),
            ("delete", pk, {"title": "Emma", "pages": 1}),
        ]

    def test_a_new_instance_with_the_key_of_a_row(self) -> None:
        def post_save_receiver(cls: Any, instance: Any, created: bool, **kwargs: Any) -> None:
            super(binding, cls).post_save_receiver(instance, created, **kwargs)

        binding = bind(group_names=classmethod(visible), post_save_receiver=classmethod(post_save_receiver))
        book = Book.objects.create(title="Emma")
        reader = Reader("all")
        Book(pk=book.pk, title="Persuasion").save()
        assert reader.told() == [("update", book.pk, {"title": "Persuasion", "pages": 1})]

    def test_connected_to_a_signal_by_the_project(self) -> None:
        binding = bind(model=Paper, fields=["name"], group_names=classmethod(lambda cls, thing: ["all"]))
        post_save.connect(binding.post_save_receiver, sender=Shelf)
        self.addCleanup(post_save.disconnect, binding.post_save_receiver, sender=Shelf)
        binding.serialize_data = lambda self, instance: {"name": instance.name}  # type: ignore[method-assign]
        reader = Reader("all")
        shelf = Shelf.objects.create(name="one")
        shelf.save()
        assert reader.told() == [
            ("create", shelf.pk, {"name": "one"}),
            ("update", shelf.pk, {"name": "one"}),
        ]


class TestConsumers(TransactionChannelTestCase):
    def test_changes_in_a_consumer_are_told_once_when_it_has_ended(self) -> None:
        def pre_save_receiver(cls: Any, instance: Any, **kwargs: Any) -> None:
            super(loud, cls).pre_save_receiver(instance, **kwargs)

        loud = bind(
            group_names=classmethod(lambda cls, book: ["loud"]), pre_save_receiver=classmethod(pre_save_receiver)
        )
        bind(group_names=classmethod(lambda cls, book: ["plain"]))
        loud_reader, plain_reader = Reader("loud"), Reader("plain")
        with PendingSends() as sends:
            book = Book.objects.create(title="Emma")
            book.pages = 2
            book.save()
            book.tags.add(Tag.objects.create(name="novel"))
            assert not sends.deliveries
            consumer_finished.send(sender=type(self))
        layer = channel_layers["default"].channel_layer
        layer.send_batch([delivery for _, delivery in sends.deliveries])
        expected = [("create", book.pk, {"title": "Emma", "pages": 2})]
        assert (loud_reader.told(), plain_reader.told()) == (expected, expected)


class TestTransactions(TransactionChannelTestCase):
    def setUp(self) -> None:
        def post_change_receiver(cls: Any, instance: Any, action: str, **kwargs: Any) -> None:
            super(binding, cls).post_change_receiver(instance, action, **kwargs)

        binding = bind(group_names=classmethod(visible), post_change_receiver=classmethod(post_change_receiver))
        self.reader = Reader("all")

    def test_changes_that_are_rolled_back_are_not_sent(self) -> None:
        with transaction.atomic():
            Book.objects.create(title="Emma")
            transaction.set_rollback(True)
        assert self.reader.actions() == []

    def test_one_message_for_each_instance(self) -> None:
        with transaction.atomic():
            book = Book.objects.create(title="Emma")
            book.pages = 2
            book.save()
            assert self.reader.actions() == []
        assert self.reader.told() == [("create", book.pk, {"title": "Emma", "pages": 2})]
        with transaction.atomic():
            book.pages = 3
            book.save()
            book.delete()
        assert self.reader.actions() == ["delete"]
