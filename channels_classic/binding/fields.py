"""The fields of an instance as JSON values, and JSON values as fields (specification, section 10)."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import CharField, Field, FileField, ForeignKey, ManyToManyField, Model, TextField
from django.utils.encoding import is_protected_type

ALL = "__all__"
"""The one entry of ``fields`` that means all of them."""

Names = Collection[str] | None


def selected(model: type[Model], fields: Names, exclude: Names) -> list[Field[Any, Any]]:
    """The fields of a binding, in the model's order, without the primary key, which is sent separately.

    Arguments:
        fields: their names, or ``["__all__"]``; ``None`` for all but
        exclude: the names of the fields that are left out.
    """
    own = [field for field in (*model._meta.concrete_fields, *model._meta.many_to_many) if field.serialize]  # type: ignore[attr-defined]
    if fields is not None:
        return own if ALL in _names(fields) else [field for field in own if field.name in fields]
    return [field for field in own if field.name not in (exclude or ())]


def unknown(model: type[Model], names: Names) -> list[str]:
    """The names that are not fields of ``model``."""
    known = {field.name for field in (*model._meta.concrete_fields, *model._meta.many_to_many)}
    return [name for name in _names(names or ()) if name not in (*known, "pk", ALL)]


def _names(names: Collection[str]) -> Collection[str]:
    return [names] if isinstance(names, str) else names


def to_json(instance: Model, fields: Iterable[Field[Any, Any]]) -> dict[str, Any]:
    """The values of these fields in JSON, as Django's JSON serializer has them."""
    return as_json({field.name: _value(field, instance) for field in fields})


def as_json(values: dict[str, Any]) -> dict[str, Any]:
    """The same values, with dates and other types that JSON lacks in the form of Django's JSON."""
    converted: dict[str, Any] = json.loads(json.dumps(values, cls=DjangoJSONEncoder))
    return converted


def _value(field: Field[Any, Any], instance: Model) -> Any:
    if isinstance(field, ManyToManyField):
        return list(getattr(instance, field.name).values_list("pk", flat=True))
    value = field.value_from_object(instance)
    return value if is_protected_type(value) else field.value_to_string(instance)


def writable(fields: Iterable[Field[Any, Any]]) -> list[Field[Any, Any]]:
    """The fields that a client may write.

    Fields that are not ``editable`` are left out, and so are files, because their value is a path on the server.
    """
    return [
        field
        for field in fields
        if field.editable and not isinstance(field, FileField) and not getattr(field, "generated", False)
    ]


def assign(instance: Model, fields: Iterable[Field[Any, Any]], data: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Set the fields of ``instance`` to the values in ``data``.

    Returns:
        The keys for the many-to-many fields, by name. They can only be set after the instance is saved.

    Raises:
        ValidationError: a value has the wrong type, or refers to an object that does not exist.
    """
    errors: dict[str, ValidationError] = {}
    many: dict[str, list[Any]] = {}
    for field in fields:
        try:
            if isinstance(field, ManyToManyField):
                many[field.name] = _existing(field, data[field.name])
            else:
                setattr(instance, field.attname, _python_value(field, data[field.name]))
        except ValidationError as error:
            errors[field.name] = error
        except (TypeError, ValueError, OverflowError, AttributeError):
            errors[field.name] = ValidationError("This value has the wrong type.")
    if errors:
        raise ValidationError(errors)
    return many


def _python_value(field: Field[Any, Any], value: Any) -> Any:
    if value is None:
        return None
    if isinstance(field, ForeignKey):
        return field.target_field.to_python(_key(value))
    if isinstance(field, (CharField, TextField)) and (
        isinstance(value, bool) or not isinstance(value, (str, int, float))
    ):
        raise TypeError  # they would accept it, in the form of Python's str()
    return field.to_python(value)


def _existing(field: ManyToManyField[Any, Any], keys: Any) -> list[Any]:
    if not isinstance(keys, list):
        raise ValidationError("This must be a list of keys.")
    model = field.remote_field.model
    wanted = {model._meta.pk.to_python(_key(key)) for key in keys}
    found = list(model._base_manager.filter(pk__in=wanted).values_list("pk", flat=True))
    if len(found) < len(wanted):
        raise ValidationError("This refers to something that does not exist.")
    return found


def _key(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise TypeError
    return value
