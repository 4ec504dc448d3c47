"""Finds the changes of models: by Django's signals, and by ``announce_changes`` (specification, section 10)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from django.apps import apps
from django.db import router
from django.db.models import ManyToManyField, Model
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete, pre_save

from channels_classic.binding.commits import Before, Known, Listener, announce, read, tell_at_ends
from channels_classic.log import logger


class Watcher(Listener, Protocol):
    """The part of a binding class that is needed here."""

    model: Any
    has_own_receivers: bool
    """Whether the signals about saved and deleted rows reach it by methods of its own."""

    def known(self, instance: Model, signal_kwargs: Mapping[str, Any]) -> Known:
        """The state of an instance that clients know before it changes."""


_listeners: dict[type[Model], list[Watcher]] = {}


def listen(listener: Watcher) -> None:
    """Watch the rows of a binding's model, whichever model class changes them."""
    listeners = _listeners.setdefault(listener.model, [])
    if listener in listeners:
        return
    listeners.append(listener)
    tell_at_ends()
    for model in classes_of(listener.model):
        pre_save.connect(_will_save, sender=model, dispatch_uid=__name__)
        post_save.connect(_has_saved, sender=model, dispatch_uid=__name__)
        pre_delete.connect(_will_delete, sender=model, dispatch_uid=__name__)
        post_delete.connect(_has_deleted, sender=model, dispatch_uid=__name__)
    for field in listener.model._meta.many_to_many:
        m2m_changed.connect(_members_change, sender=field.remote_field.through, dispatch_uid=__name__)


def classes_of(model: type[Model]) -> list[type[Model]]:
    """The classes whose instances are rows of ``model``: itself, its proxies, and models that inherit from it."""
    return [each for each in apps.get_models() if issubclass(each, model._meta.concrete_model or ())]


def all_listeners() -> Iterator[Watcher]:
    """All bindings."""
    for listeners in _listeners.values():
        yield from listeners


@contextmanager
def announce_changes(instances: Iterable[Model]) -> Iterator[None]:
    """Announce changes that are made in this block without signals, so that bindings notice them.

    Use it for ``QuerySet.update()``, ``bulk_create()``, ``bulk_update()`` and SQL of your own. Rows may be
    created, changed and deleted::

        with announce_changes(Post.objects.filter(is_draft=True)):
            Post.objects.filter(is_draft=True).update(is_draft=False)

        with announce_changes(posts):
            Post.objects.bulk_create(posts)

    If the block raises, nothing is announced.

    Arguments:
        instances: the instances that change, or a queryset of them, which is evaluated at once.
    """
    places: dict[tuple[type[Model], str], list[Model]] = {}
    for instance in instances:
        using = instance._state.db or router.db_for_write(type(instance))
        for model in _bound_models(type(instance)):
            places.setdefault((model, using), []).append(instance)
    befores = {
        (model, using): _known_of(_listeners[model], model, using, _keys_of(changing, model), {})
        for (model, using), changing in places.items()
    }
    yield
    for (model, using), changed in places.items():
        for key in _keys_of(changed, model):
            announce(model, key, befores[model, using].get(key) or _nothing_known(_listeners[model]), using)


# The state that clients know before a change is kept on the instance until the signal after the change.

KEPT = "_channels_known"


def _keep(instance: Model, known: Any) -> None:
    instance.__dict__.setdefault(KEPT, []).append(known)


def _take(instance: Model) -> Any:
    stack = instance.__dict__.get(KEPT, [])
    if len(stack) <= 1:
        instance.__dict__.pop(KEPT, None)
    return stack.pop() if stack else {}


def _will_save(sender: type[Model], instance: Model, raw: bool, using: str, **kwargs: Any) -> None:
    # Django inserts an instance with a new default key without checking whether the row exists, and so do we.
    key_field = sender._meta.pk
    is_new = instance._state.adding and not raw and (key_field.has_default() or key_field.has_db_default())
    known = {}
    for model, listeners in _listening(sender).items():
        key = key_of(instance, model)
        keys = [] if is_new or key is None else [key]
        known[model] = _known_of(listeners, model, using, keys, kwargs).get(key)
    _keep(instance, known)


def _has_saved(sender: type[Model], instance: Model, created: bool, using: str, **kwargs: Any) -> None:
    known = _take(instance)
    for model, listeners in _listening(sender).items():
        before = None if created else known.get(model)
        announce(model, key_of(instance, model), before or _nothing_known(listeners), using, kwargs)


def _will_delete(sender: type[Model], instance: Model, using: str, **kwargs: Any) -> None:
    known = {}
    for model, listeners in _listening(sender).items():
        key = key_of(instance, model)
        if type(instance) is model and kwargs.get("origin") is not instance:
            # It is deleted by a cascade, or as a part of a queryset, and has just been read for that.
            before = _known(listeners, instance, kwargs)
        else:
            before = _known_of(listeners, model, using, [key], kwargs).get(key) or _nothing_known(listeners)
        known[model] = key, before
    _keep(instance, known)


def _has_deleted(sender: type[Model], instance: Model, using: str, **kwargs: Any) -> None:
    for model, (key, before) in _take(instance).items():
        announce(model, key, before, using, kwargs)


def _members_change(
    sender: type[Model],
    instance: Model,
    action: str,
    reverse: bool,
    pk_set: set[Any] | None,
    using: str,
    **kwargs: Any,
) -> None:
    if action.startswith("post_"):
        for (model, key), before in _take(instance).items():
            announce(model, key, before, using, kwargs)
        return
    known = {}
    for model, listeners in _listeners.items():
        for field in model._meta.many_to_many:
            if field.remote_field.through is sender:
                keys = _changing(field, instance, reverse, pk_set, using)
                for key, before in _known_of(listeners, model, using, keys, kwargs).items():
                    known[model, key] = before
    _keep(instance, known)


def _changing(
    field: ManyToManyField[Any, Any], instance: Model, reverse: bool, pk_set: set[Any] | None, using: str
) -> list[Any]:
    """The keys of the instances whose many-to-many field changes.

    Arguments:
        reverse: whether ``instance`` is at the other end of the field.
        pk_set: the keys at the other end; ``None`` for all keys there.
    """
    if pk_set is None:
        here, there = field.m2m_field_name(), field.m2m_reverse_field_name()
        if reverse:
            here, there = there, here
        through: Any = field.remote_field.through
        rows = through._base_manager.using(using).filter(**{here: instance.pk})
        pk_set = set(rows.values_list(there, flat=True))
    if reverse:
        return list(pk_set)
    if not pk_set:
        return []
    return [instance.pk, *pk_set] if field.remote_field.symmetrical else [instance.pk]


def _bound_models(sender: type[Model]) -> list[type[Model]]:
    """The models with bindings to which a row of ``sender`` belongs."""
    return [model for model in _listeners if issubclass(sender, model._meta.concrete_model or ())]


def _listening(sender: type[Model]) -> dict[type[Model], list[Watcher]]:
    """These models, each with the bindings that get the signals here."""
    listening = {}
    for model in _bound_models(sender):
        if here := [listener for listener in _listeners[model] if not listener.has_own_receivers]:
            listening[model] = here
    return listening


def key_of(instance: Model, model: type[Model]) -> Any:
    """The primary key of ``instance`` as an instance of ``model``, which may be a parent of its class."""
    field = model._meta.pk
    return field.to_python(getattr(instance, field.attname))


def _keys_of(instances: Iterable[Model], model: type[Model]) -> list[Any]:
    keys = (key_of(instance, model) for instance in instances)
    return [key for key in keys if key is not None]


def _known_of(
    listeners: Iterable[Watcher],
    model: type[Model],
    using: str,
    keys: Iterable[Any],
    signal_kwargs: Mapping[str, Any],
) -> dict[Any, Before]:
    """The state that clients know of these rows, as far as they exist."""
    return {key: _known(listeners, row, signal_kwargs) for key, row in read(model, keys, using).items()}


def _known(listeners: Iterable[Watcher], row: Model, signal_kwargs: Mapping[str, Any]) -> Before:
    before: Before = {}
    for listener in listeners:
        try:
            before[listener] = listener.known(row, signal_kwargs)
        except Exception:  # a binding that fails must not break the code that saves
            logger.exception("Could not find out what clients know of %s %r:", row._meta.label, row.pk)
            before[listener] = Known()
    return before


def _nothing_known(listeners: Iterable[Watcher]) -> Before:
    return {listener: Known() for listener in listeners}
