from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import models
from django.utils import timezone

from .rules import MAX_NAME_LENGTH

HISTORY_LENGTH = 50
HEARTBEAT = timedelta(seconds=30)
# Three heartbeats, because browsers slow the timers of a hidden page down to one a minute.
PRESENCE_EXPIRY = 3 * HEARTBEAT


class MessageQuerySet(models.QuerySet["Message"]):
    def history(self, room: str) -> list[dict[str, Any]]:
        """The last messages of a room, oldest first."""
        latest = self.filter(room=room).order_by("-id")[:HISTORY_LENGTH]
        return [message.as_dict() for message in reversed(latest)]


class Message(models.Model):
    room = models.CharField(max_length=50)
    author = models.CharField(max_length=MAX_NAME_LENGTH)
    text = models.TextField()
    created = models.DateTimeField(auto_now_add=True)

    objects = MessageQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["room", "id"], name="message_history")]

    def __str__(self) -> str:
        return f"{self.author} in {self.room}: {self.text[:50]}"

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.pk,
            "author": self.author,
            "text": self.text,
            "created": self.created.isoformat(),
        }


class PresenceQuerySet(models.QuerySet["Presence"]):
    def alive(self) -> PresenceQuerySet:
        return self.filter(seen__gte=timezone.now() - PRESENCE_EXPIRY)

    def names(self, room: str) -> list[str]:
        """Who is in a room; somebody with two windows is still one person."""
        return list(self.alive().filter(room=room).order_by("name").values_list("name", flat=True).distinct())

    def touch(self, room: str, reply_channel: str, name: str) -> bool:
        """Notes that a visitor is there. True if that is news: a new visitor, or a new name."""
        here = {"room": room, "name": name}
        if self.alive().filter(reply_channel=reply_channel, **here).update(seen=timezone.now()):
            return False
        self.update_or_create(reply_channel=reply_channel, defaults={**here, "seen": timezone.now()})
        return True

    def expire(self) -> set[str]:
        """Forgets visitors whose process died without saying goodbye; returns the rooms they were in."""
        gone = self.filter(seen__lt=timezone.now() - PRESENCE_EXPIRY)
        rooms = set(gone.values_list("room", flat=True))
        if rooms:
            gone.delete()
        return rooms


class Presence(models.Model):
    """One open window of a visitor in a room. In the database, so that every process sees the same people."""

    room = models.CharField(max_length=50, db_index=True)
    reply_channel = models.CharField(max_length=100, unique=True)
    name = models.CharField(max_length=MAX_NAME_LENGTH)
    since = models.DateTimeField(auto_now_add=True)
    seen = models.DateTimeField(db_index=True)

    objects = PresenceQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "presence"

    def __str__(self) -> str:
        return f"{self.name} in {self.room}"


def list_rooms(limit: int = 50) -> list[dict[str, Any]]:
    """The rooms with somebody in them, then those with the latest messages: name and number of people."""
    people = Presence.objects.alive().values("room").annotate(people=models.Count("name", distinct=True))
    rooms = {row["room"]: row["people"] for row in people.order_by("-people", "room")[:limit]}
    spoken = Message.objects.values("room").annotate(latest=models.Max("id")).order_by("-latest")
    for room in spoken.values_list("room", flat=True)[:limit]:
        rooms.setdefault(room, 0)
    return [{"name": name, "people": count} for name, count in rooms.items()][:limit]
