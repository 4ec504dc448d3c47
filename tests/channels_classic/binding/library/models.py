"""Models for the tests of bindings."""

from __future__ import annotations

import uuid

from django.core.validators import MinValueValidator
from django.db import models


class Tag(models.Model):
    name = models.CharField(max_length=20)


class Shelf(models.Model):
    name = models.CharField(max_length=20)


class Book(models.Model):
    title = models.CharField(max_length=20, unique=True)
    pages = models.IntegerField(default=1, validators=[MinValueValidator(1)])
    shelf = models.ForeignKey(Shelf, models.CASCADE, null=True, blank=True)
    tags = models.ManyToManyField(Tag, blank=True)
    similar = models.ManyToManyField("self", blank=True)
    is_secret = models.BooleanField(default=False)
    price = models.DecimalField(max_digits=6, decimal_places=2, null=True, blank=True)
    published = models.DateTimeField(null=True, blank=True)
    details = models.JSONField(default=dict, blank=True)
    cover = models.FileField(blank=True)
    inventory = models.CharField(max_length=20, editable=False, default="")
    changed = models.DateTimeField(auto_now=True)

    @property
    def shout(self) -> str:
        return self.title.upper()

    def page_count(self) -> int:
        return self.pages


class BookProxy(Book):
    class Meta:
        proxy = True


class Novel(Book):
    hero = models.CharField(max_length=20)


class Chapter(models.Model):
    book = models.ForeignKey(Book, models.CASCADE)
    heading = models.CharField(max_length=20)


class Paper(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=20)


class Code(models.Model):
    code = models.CharField(max_length=20, primary_key=True)
    text = models.CharField(max_length=20)


class Place(models.Model):
    pk = models.CompositePrimaryKey("row", "column")
    row = models.IntegerField()
    column = models.IntegerField()
    text = models.CharField(max_length=20)
