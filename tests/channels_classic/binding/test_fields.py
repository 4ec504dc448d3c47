"""The fields of an instance as JSON."""

from __future__ import annotations

import datetime
import decimal
import json
from typing import Any

import pytest
from django.core import serializers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channels_classic.binding import fields
from tests.channels_classic.binding.library.models import Book, Novel, Shelf, Tag
from tests.channels_classic.generic.test_frames import contents

ALL = fields.selected(Book, ["__all__"], None)

values = st.fixed_dictionaries(
    {
        "pages": st.integers(-(2**31), 2**31 - 1),
        "is_secret": st.booleans(),
        "price": st.none() | st.decimals(-9999, 9999, places=2),
        "published": st.none() | st.datetimes(timezones=st.just(datetime.UTC)),
        "details": st.dictionaries(st.text(), contents, max_size=3),
        "inventory": st.text(max_size=20),
    }
)


@pytest.mark.django_db
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values, st.booleans())
def test_as_djangos_serializer_has_them(attrs: dict[str, Any], has_shelf: bool) -> None:
    shelf = Shelf.objects.create(name="s") if has_shelf else None
    book = Book(title="Emma", shelf=shelf, changed=datetime.datetime.now(datetime.UTC), **attrs)
    Book.objects.filter(title="Emma").delete()
    Book.objects.bulk_create([book])
    book.tags.set([Tag.objects.create(name="t")])
    (as_django_has_it,) = json.loads(serializers.serialize("json", [book]))
    assert fields.to_json(book, ALL) == as_django_has_it["fields"]


@pytest.mark.django_db
def test_a_child_has_the_fields_of_its_parent() -> None:
    novel = Novel.objects.create(title="Emma", hero="Emma", price=decimal.Decimal("1.5"))
    data = fields.to_json(novel, fields.selected(Novel, ["title", "hero", "price"], None))
    assert data == {"title": "Emma", "hero": "Emma", "price": "1.5"}
    assert "book_ptr" not in fields.to_json(novel, fields.selected(Novel, None, ["title"]))
