"""How a binding is declared, and when it begins."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps

from channels_classic.binding import Binding
from channels_classic.binding.base import BindingMetaclass
from channels_classic.binding.checks import check_field_names
from channels_classic.binding.websockets import WebsocketBinding
from channels_classic.test import ChannelTestCase
from tests.channels_classic.binding.client import Reader, bind
from tests.channels_classic.binding.library.models import Book


class TestDeclaration(ChannelTestCase):
    def test_without_fields(self) -> None:
        with pytest.raises(ValueError, match="Incomplete has neither fields nor exclude"):

            class Incomplete(WebsocketBinding):
                model = Book
                stream = "books"

    def test_without_a_model(self) -> None:
        with pytest.raises(ValueError, match=r"Incomplete has no model\. .*'app.Model'"):

            class Incomplete(WebsocketBinding):
                fields = ["title"]

    def test_a_model_by_its_name(self) -> None:
        binding = bind(model="library.Book", group_names=lambda self, book: ["all"])
        assert binding.model is Book
        assert binding.model_label == "library.book"
        reader = Reader("all")
        Book.objects.create(title="Emma")
        assert reader.actions() == ["create"]

    def test_a_model_that_does_not_exist(self) -> None:
        with pytest.raises(LookupError, match="library"):
            bind(model="library.Bok")

    def test_inheritance(self) -> None:
        class Public(WebsocketBinding):
            model = None
            fields = ["title"]

            @classmethod
            def group_names(cls, instance: Any) -> list[str]:
                return ["all"]

        class First(Public):
            model = Book
            stream = "first"

        class Second(First):
            stream = "second"
            fields = ["pages"]

        reader = Reader("all")
        Book.objects.create(title="Emma")
        frames = [reader.receive(), reader.receive(), reader.receive()]
        assert [frame and (frame["stream"], frame["payload"]["data"]) for frame in frames] == [
            ("first", {"title": "Emma"}),
            ("second", {"pages": 1}),
            None,
        ]

    def test_registered_twice_tells_once(self) -> None:
        bind(group_names=lambda self, book: ["all"]).register()
        reader = Reader("all")
        Book.objects.create(title="Emma")
        assert reader.actions() == ["create"]

    def test_without_a_stream(self) -> None:
        bind(stream=None, group_names=lambda self, book: ["all"])
        with pytest.raises(ValueError, match="BookBinding has no stream"):
            Book.objects.create(title="Emma")

    def test_a_protocol_of_its_own(self) -> None:
        class Plain(Binding):
            model = Book
            stream = "plain"
            fields = ["title"]

            @classmethod
            def group_names(cls, instance: Any) -> list[str]:
                return ["all"]

            def serialize(self, instance: Any, action: str) -> str:
                return f"{action} {instance.title}"

            @classmethod
            def encode(cls, stream: str, payload: str) -> dict[str, Any]:
                return {"text": f"{stream}: {payload}"}

        reader = Reader("all")
        Book.objects.create(title="Emma").delete()
        assert [reader.receive(json=False), reader.receive(json=False)] == [
            "plain: create Emma",
            "plain: delete Emma",
        ]

    def test_what_a_protocol_has_to_define(self) -> None:
        binding = Binding()
        for call in (
            lambda: binding.serialize(None, "create"),
            lambda: binding.encode("stream", {}),
            lambda: binding.deserialize(None),  # type: ignore[arg-type]
        ):
            with pytest.raises(NotImplementedError, match="Binding has to define"):
                call()
        assert not binding.has_permission(None, "create", None)

    def test_misspelt_names(self) -> None:
        bind(fields=["title", "id", "pk", "tags"])
        bind(fields=["__all__"])
        assert check_field_names(None) == []
        bind(fields=["tilte"])
        bind(exclude=["title", "pasword"])
        texts = [str(warning.msg) for warning in check_field_names(None)]
        assert texts == [
            "fields names 'tilte', but library.Book has no such field.",
            "exclude names 'pasword', but library.Book has no such field.",
        ]


class TestBeforeModelsAreThere(ChannelTestCase):
    def test_registered_when_they_are(self) -> None:
        apps.models_ready = False
        try:
            binding = bind(model="library.Book", group_names=lambda self, book: ["all"])
            later = bind(fields=None)
            later.fields = ["pages"]  # as a decorator may do
        finally:
            apps.models_ready = True
        assert binding.model == "library.Book"
        BindingMetaclass.register_all()
        assert binding.model is Book
        reader = Reader("all")
        Book.objects.create(title="Emma")
        assert reader.actions() == ["create"]
