"""The receivers of Channels 1, for projects that override or call them (specification, section 10).

Usually no class overrides them, and the functions in ``changes`` get Django's signals for all bindings of a model
at once. A class that overrides one of these methods gets the signals through them. It can hold a change back, or
announce it as another action. Changes that it passes on are sent like any other: after the commit, with the row as
it is then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from django.db import router
from django.db.models import Model
from django.db.models.signals import post_delete, post_save, pre_delete, pre_save

from channels_classic.binding.changes import classes_of, key_of
from channels_classic.binding.commits import Known, announce, read, tell_at_ends
from channels_classic.binding.requests import CREATE, DELETE, UPDATE

KEPT = "_channels_known_to"
"""The attribute of an instance with the state that the clients of each binding knew before the change."""


class Receivers:
    """The methods of a binding class that Django's signals can be connected to."""

    model: ClassVar[Any]
    has_own_receivers: ClassVar[bool] = False

    @classmethod
    def pre_save_receiver(cls, instance: Any, **kwargs: Any) -> None:
        """Handle an instance that is about to be saved."""
        cls.pre_change_receiver(instance, CREATE if instance._state.adding else UPDATE)

    @classmethod
    def post_save_receiver(cls, instance: Any, created: bool, **kwargs: Any) -> None:
        """Handle an instance that has been saved."""
        cls.post_change_receiver(instance, CREATE if created else UPDATE, **kwargs)

    @classmethod
    def pre_delete_receiver(cls, instance: Any, **kwargs: Any) -> None:
        """Handle an instance that is about to be deleted."""
        cls.pre_change_receiver(instance, DELETE)

    @classmethod
    def post_delete_receiver(cls, instance: Any, **kwargs: Any) -> None:
        """Handle an instance that has been deleted."""
        cls.post_change_receiver(instance, DELETE, **kwargs)

    @classmethod
    def pre_change_receiver(cls, instance: Any, action: str) -> None:
        """Note the state of an instance that clients know, before it changes.

        Arguments:
            action: ``create``, ``update`` or ``delete``.
        """
        if action != CREATE:
            instance.__dict__.setdefault(KEPT, {})[cls] = _known(cls, instance, {})

    @classmethod
    def post_change_receiver(cls, instance: Any, action: str, **kwargs: Any) -> None:
        """Tell clients about a change, when it is committed.

        Arguments:
            action: ``create`` or ``update``, or ``delete`` for an instance that clients must not see any more,
                whether or not its row is still there.
            kwargs: the arguments of the signal.
        """
        known = instance.__dict__.get(KEPT, {}).pop(cls, None)
        if known is None:
            known = Known() if action == CREATE else _known(cls, instance, kwargs)
        model, using = _place_of(cls, instance)
        key = key_of(instance, model)
        is_still_there = action == DELETE and key in read(model, [key], using)
        listener: Any = Withdrawn(cls) if is_still_there else cls
        announce(model, key, {listener: known}, using, kwargs)


@dataclass(frozen=True)
class Withdrawn:
    """The listener for a row that clients must not see any more, although it stays."""

    binding: Any

    def tell(self, known: Known, instance: Model | None, signal_kwargs: Mapping[str, Any]) -> None:
        """Tell them that the instance is gone."""
        self.binding.tell(known, None, signal_kwargs)


NAMES = {name for name in vars(Receivers) if name.endswith("_receiver")}


def overrides(binding: type[Receivers]) -> bool:
    """Whether a class, or one that it inherits from, has receivers of its own."""
    own = binding.__mro__[: binding.__mro__.index(Receivers)]
    return any(NAMES & vars(each).keys() for each in own)


def connect(binding: type[Receivers], models: Iterable[type[Model]]) -> None:
    """Connect Django's signals about these models to the receivers of a binding."""
    tell_at_ends()
    for model in {each for registered in models for each in classes_of(registered)}:
        pre_save.connect(binding.pre_save_receiver, sender=model)
        post_save.connect(binding.post_save_receiver, sender=model)
        pre_delete.connect(binding.pre_delete_receiver, sender=model)
        post_delete.connect(binding.post_delete_receiver, sender=model)


def _place_of(binding: type[Receivers], instance: Any) -> tuple[type[Model], str]:
    """The model and the database in which the row of an instance is."""
    model = binding.model
    if model is None or not isinstance(instance, model._meta.concrete_model):
        model = type(instance)
    return model, instance._state.db or router.db_for_write(model, instance=instance)


def _known(binding: Any, instance: Any, signal_kwargs: Mapping[str, Any]) -> Known:
    model, using = _place_of(binding, instance)
    key = key_of(instance, model)
    row = None if key is None else read(model, [key], using).get(key)
    known: Known = Known() if row is None else binding.known(row, signal_kwargs)
    return known
