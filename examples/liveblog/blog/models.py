from __future__ import annotations

from typing import Any

from django.core.validators import MaxLengthValidator
from django.db import models

MAX_TEXT_LENGTH = 2000


class Blog(models.Model):
    slug = models.SlugField(unique=True)
    title = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.title


class PostQuerySet(models.QuerySet["Post"]):
    def seen_by(self, user: Any) -> PostQuerySet:
        return self if user.is_staff else self.filter(is_draft=False)


class Post(models.Model):
    blog = models.ForeignKey(Blog, models.CASCADE, related_name="posts")
    text = models.TextField(validators=[MaxLengthValidator(MAX_TEXT_LENGTH)])
    is_draft = models.BooleanField(default=False)
    created = models.DateTimeField(auto_now_add=True)

    objects = PostQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.text[:50]
