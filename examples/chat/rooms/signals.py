"""Closes the sockets of users who lose a right, so that they stop reading at once, even on silent sockets.

A consumer checks rights when a message comes. A browser that only listens sends no message, so code that removes a
right has to close its sockets. For this, each socket of a user is also in a group of that user.

Django sends these signals for everything that uses the ORM, including the admin, but not for bulk updates
(`QuerySet.update`) and not for SQL.
"""

from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models.signals import m2m_changed, post_delete, post_save
from django.dispatch import receiver

from channels_classic import Group

from .frames import NOT_ANY_MORE
from .groups import room_group, user_group
from .models import PrivateRoom


def close_sockets(group: Group) -> None:
    """Closes all sockets in a group once the change is committed; not before, or they would be let in again."""
    transaction.on_commit(lambda: group.send({"close": NOT_ANY_MORE}))


@receiver(post_delete, sender=settings.AUTH_USER_MODEL)
def user_deleted(instance: Any, **kwargs: Any) -> None:
    close_sockets(user_group(instance.pk))


@receiver(post_save, sender=settings.AUTH_USER_MODEL)
def user_changed(instance: Any, created: bool, update_fields: Any, **kwargs: Any) -> None:
    """A user was made inactive, or has another password. Browsers that are still logged in just reconnect."""
    if not created and set(update_fields or ()) != {"last_login"}:
        close_sockets(user_group(instance.pk))


@receiver(post_delete, sender=PrivateRoom)
def room_deleted(instance: PrivateRoom, **kwargs: Any) -> None:
    close_sockets(room_group(instance.key))


@receiver(m2m_changed, sender=PrivateRoom.members.through)
def members_removed(instance: Any, action: str, reverse: bool, pk_set: set[int] | None, **kwargs: Any) -> None:
    """Members of a room were removed, by its form or the admin. Those who still may enter reconnect."""
    if action == "post_remove":
        for user in [instance.pk] if reverse else pk_set or ():
            close_sockets(user_group(user))
    elif action == "pre_clear":  # after the deletion the members would be unknown
        for user in [instance.pk] if reverse else instance.members.values_list("pk", flat=True):
            close_sockets(user_group(user))
