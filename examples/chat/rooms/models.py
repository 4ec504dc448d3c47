from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import models
from django.utils import timezone
from django.utils.crypto import get_random_string

from .rules import PRIVATE, NameTakenError, is_room_name, like_user_name

HISTORY_LENGTH = 50
HEARTBEAT = timedelta(seconds=30)
# Three heartbeats, because browsers slow the timers of a hidden page down to one a minute.
PRESENCE_EXPIRY = 3 * HEARTBEAT
MAX_USER_NAME_LENGTH = 150  # Django's limit; our sign-up form is stricter, but createsuperuser is not
PRIVATE_ROOMS = models.Q(room__startswith=PRIVATE)


def new_key() -> str:
    return PRIVATE + get_random_string(16)


class PrivateRoomQuerySet(models.QuerySet["PrivateRoom"]):
    def of(self, user: Any) -> PrivateRoomQuerySet:
        """The private rooms that a user may see and enter; none for a guest."""
        return self.filter(members=user.pk) if user.is_authenticated else self.none()


class PrivateRoom(models.Model):
    """A room for its members, including the owner. Its key is used like the name of a public room."""

    key = models.CharField(max_length=50, unique=True, default=new_key, editable=False)
    name = models.CharField(max_length=50)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="owned_rooms")
    members = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="private_rooms")

    objects = PrivateRoomQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.name} of {self.owner}"


def may_enter(user: Any, room: str) -> bool:
    return is_room_name(room) or PrivateRoom.objects.of(user).filter(key=room).exists()


def check_guest_name(name: str) -> None:
    """Raises NameTakenError if that is the name of a user."""
    if get_user_model().objects.filter(username__iexact=like_user_name(name)).exists():
        raise NameTakenError(f"“{name}” is the name of a user. Choose another one, or log in if it is yours.")


class MessageQuerySet(models.QuerySet["Message"]):
    def history(self, room: str) -> list[dict[str, Any]]:
        """The last messages of a room, oldest first."""
        latest = self.filter(room=room).order_by("-id")[:HISTORY_LENGTH]
        return [message.as_dict() for message in reversed(latest)]


class Message(models.Model):
    room = models.CharField(max_length=50)
    author = models.CharField(max_length=MAX_USER_NAME_LENGTH)
    guest = models.BooleanField(db_default=True)
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
            "guest": self.guest,
            "text": self.text,
            "created": self.created.isoformat(),
        }


class PresenceQuerySet(models.QuerySet["Presence"]):
    def alive(self) -> PresenceQuerySet:
        return self.filter(seen__gte=timezone.now() - PRESENCE_EXPIRY)

    def gone(self) -> PresenceQuerySet:
        return self.filter(seen__lt=timezone.now() - PRESENCE_EXPIRY)

    def people(self, room: str) -> list[dict[str, Any]]:
        """The people in a room. A person with two windows counts once."""
        people = self.alive().filter(room=room).order_by("name", "user").values_list("name", "user").distinct()
        return [{"name": name, "guest": user is None} for name, user in people]

    def touch(self, room: str, reply_channel: str, name: str, user: Any) -> bool:
        """Notes that a visitor is there. Returns True for a new visitor or a new name."""
        here = {"room": room, "name": name, "user_id": user.pk}
        if self.alive().filter(reply_channel=reply_channel, **here).update(seen=timezone.now()):
            return False
        self.update_or_create(reply_channel=reply_channel, defaults={**here, "seen": timezone.now()})
        return True


class Presence(models.Model):
    """An open window of a visitor in a room. It is in the database, so that every process sees the same people."""

    room = models.CharField(max_length=50, db_index=True)
    reply_channel = models.CharField(max_length=100, unique=True)
    name = models.CharField(max_length=MAX_USER_NAME_LENGTH)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True)  # null: a guest
    since = models.DateTimeField(auto_now_add=True)
    seen = models.DateTimeField(db_index=True)

    objects = PresenceQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "presence"

    def __str__(self) -> str:
        return f"{self.name} in {self.room}"


def list_rooms(limit: int = 50) -> list[dict[str, Any]]:
    """The public rooms with their numbers of people: first rooms with people, then by the latest message."""
    people = (
        Presence.objects.alive()
        .exclude(PRIVATE_ROOMS)
        .values("room")
        .annotate(people=models.Count("name", distinct=True))
    )
    rooms = {row["room"]: row["people"] for row in people.order_by("-people", "room")[:limit]}
    spoken = (
        Message.objects.exclude(PRIVATE_ROOMS).values("room").annotate(latest=models.Max("id")).order_by("-latest")
    )
    for room in spoken.values_list("room", flat=True)[:limit]:
        rooms.setdefault(room, 0)
    return [{"name": name, "people": count} for name, count in rooms.items()][:limit]
