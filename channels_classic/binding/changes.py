"""How bindings learn of changes: by Django's signals, and by word (specification, section 10)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.apps import apps
from django.db import router
from django.db.models import ManyToManyField, Model
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete, pre_save

from channels_classic.binding.commits import Before, Known, Listener, announce, read, tell_at_end
from channels_classic.log import logger
from channels_classic.signals import consumer_finished

_listeners: dict[type[Model], list[Listener]] = {}


def listen(listener: Listener) -> None:
    """Let a binding be told of the changes of its model's rows, by whichever model class they are made."""
    listeners = _listeners.setdefault(listener.model, [])
    if listener in listeners:
        return
    listeners.append(listener)
    consumer_finished.connect(tell_at_end, dispatch_uid=__name__)  # no consumer pays for it where nothing is bound
    for model in apps.get_models():
        if issubclass(model, listener.model._meta.concrete_model):
            pre_save.connect(_will_save, sender=model, dispatch_uid=__name__)
            post_save.connect(_has_saved, sender=model, dispatch_uid=__name__)
            pre_delete.connect(_will_delete, sender=model, dispatch_uid=__name__)
            post_delete.connect(_has_deleted, sender=model, dispatch_uid=__name__)
    for field in listener.model._meta.many_to_many:
        m2m_changed.connect(_members_change, sender=field.remote_field.through, dispatch_uid=__name__)


def all_listeners() -> Iterator[Listener]:
    """All bindings."""
    for listeners in _listeners.values():
        yield from listeners


@contextmanager
def announce_changes(instances: Iterable[Model]) -> Iterator[None]:
    """Within this block, instances are changed without signals; bindings are told of it as of other changes.

    For what sends no signals: ``QuerySet.update()``, ``bulk_create()``, ``bulk_update()``, SQL of your own. Rows
    may be created, changed and deleted::

        with announce_changes(Post.objects.filter(is_draft=True)):
            Post.objects.filter(is_draft=True).update(is_draft=False)

        with announce_changes(posts):
            Post.objects.bulk_create(posts)

    If the block raises, nothing is told.

    Arguments:
        instances: those that are changed, or a queryset of them, which is evaluated at once.
    """
    places: dict[tuple[type[Model], str], list[Model]] = {}
    for instance in instances:
        using = instance._state.db or router.db_for_write(type(instance))
        for model in _bound_models(type(instance)):
            places.setdefault((model, using), []).append(instance)
    befores = {place: _known_of(*place, _keys_of(changing, place[0]), {}) for place, changing in places.items()}
    yield
    for (model, using), changed in places.items():
        for key in _keys_of(changed, model):
            announce(model, key, befores[model, using].get(key) or _nothing_known(model), using)


# What clients know before a change is kept on the instance, from the signal before it to the one after it.

KEPT = "_channels_known"


def _keep(instance: Model, known: Any) -> None:
    instance.__dict__.setdefault(KEPT, []).append(known)


def _take(instance: Model) -> Any:
    stack = instance.__dict__.get(KEPT, [])
    if len(stack) <= 1:
        instance.__dict__.pop(KEPT, None)
    return stack.pop() if stack else {}


def _will_save(sender: type[Model], instance: Model, raw: bool, using: str, **kwargs: Any) -> None:
    # Django inserts what has a key of its own making without looking whether it is there, and so do we.
    key_field = sender._meta.pk
    is_new = instance._state.adding and not raw and (key_field.has_default() or key_field.has_db_default())
    known = {}
    for model in _bound_models(sender):
        key = _key_of(instance, model)
        keys = [] if is_new or key is None else [key]
        known[model] = _known_of(model, using, keys, kwargs).get(key)
    _keep(instance, known)


def _has_saved(sender: type[Model], instance: Model, created: bool, using: str, **kwargs: Any) -> None:
    known = _take(instance)
    for model in _bound_models(sender):
        before = None if created else known.get(model)
        announce(model, _key_of(instance, model), before or _nothing_known(model), using, kwargs)


def _will_delete(sender: type[Model], instance: Model, using: str, **kwargs: Any) -> None:
    known = {}
    for model in _bound_models(sender):
        key = _key_of(instance, model)
        if type(instance) is model and kwargs.get("origin") is not instance:
            # It goes along with another, or as one of a queryset, and has just been read for that.
            before = _known(model, instance, kwargs)
        else:
            before = _known_of(model, using, [key], kwargs).get(key) or _nothing_known(model)
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
    for model in _listeners:
        for field in model._meta.many_to_many:
            if field.remote_field.through is sender:
                keys = _changing(field, instance, reverse, pk_set, using)
                for key, before in _known_of(model, using, keys, kwargs).items():
                    known[model, key] = before
    _keep(instance, known)


def _changing(
    field: ManyToManyField[Any, Any], instance: Model, reverse: bool, pk_set: set[Any] | None, using: str
) -> list[Any]:
    """The keys of the instances whose many-to-many field changes.

    Arguments:
        reverse: whether ``instance`` is at the other end of the field.
        pk_set: the keys at the end where ``instance`` is not; ``None`` for all that there are.
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
    """The models of bindings that have what is a row of ``sender``."""
    return [model for model in _listeners if issubclass(sender, model._meta.concrete_model or ())]


def _key_of(instance: Model, model: type[Model]) -> Any:
    """The primary key that ``instance`` has as one of ``model``, which may be a parent of its class."""
    field = model._meta.pk
    return field.to_python(getattr(instance, field.attname))


def _keys_of(instances: Iterable[Model], model: type[Model]) -> list[Any]:
    keys = (_key_of(instance, model) for instance in instances)
    return [key for key in keys if key is not None]


def _known_of(
    model: type[Model], using: str, keys: Iterable[Any], signal_kwargs: Mapping[str, Any]
) -> dict[Any, Before]:
    """What clients know of those of these rows that exist."""
    return {key: _known(model, row, signal_kwargs) for key, row in read(model, keys, using).items()}


def _known(model: type[Model], row: Model, signal_kwargs: Mapping[str, Any]) -> Before:
    before = {}
    for listener in _listeners[model]:
        try:
            before[listener] = listener.known(row, signal_kwargs)
        except Exception:  # a binding that fails must not fail whoever saves
            logger.exception("Could not find out what clients know of %s %r:", model._meta.label, row.pk)
            before[listener] = Known()
    return before


def _nothing_known(model: type[Model]) -> Before:
    return {listener: Known() for listener in _listeners[model]}
