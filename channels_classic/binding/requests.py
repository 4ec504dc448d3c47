"""Clients' requests to bindings, and the answers to those that are refused (specification, section 10)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied, ValidationError
from django.db import DataError, IntegrityError
from django.db.models import Model

from channels_classic.log import logger

CREATE, UPDATE, DELETE = "create", "update", "delete"

LONGEST_ECHO = 100
"""Characters; a longer action or key is not repeated to the client that sent it."""


class Refused(ValueError):
    """A client's request that is not carried out. The client is told the text and the errors.

    Arguments:
        text: the reason.
        errors: the reasons by the name of the field.
    """

    def __init__(self, text: str, errors: Mapping[str, list[str]] | None = None) -> None:
        super().__init__(text)
        self.errors = dict(errors or {})


def check_form(model: type[Model], action: Any, pk: Any, data: Any) -> None:
    """Make sure that a request has the right form.

    Raises:
        Refused: it has not.
    """
    if action not in (CREATE, UPDATE, DELETE):
        raise Refused('"action" must be "create", "update" or "delete".')
    if action != CREATE:
        _check_key(model, action, pk)
    if action != DELETE and not isinstance(data, dict):
        raise Refused(f'To {action}, "data" must be an object of fields and their values.')


def _check_key(model: type[Model], action: str, pk: Any) -> None:
    keys = model._meta.pk_fields
    parts = pk if isinstance(pk, list) and len(keys) > 1 else [pk]
    if len(parts) != len(keys) or any(
        isinstance(part, bool) or not isinstance(part, (int, str)) for part in parts
    ):
        raise Refused(f'To {action}, "pk" must be a primary key.')
    try:
        for key, part in zip(keys, parts, strict=True):
            key.to_python(part)
    except ValidationError:
        raise Refused("This does not exist.") from None


@contextmanager
def refusals(model: Any) -> Iterator[None]:
    """Turn Django's exceptions in this block into ``Refused``.

    Raises:
        Refused: the request cannot be carried out. The text has only details that the client may know.
    """
    try:
        yield
    except model.DoesNotExist:
        raise Refused("This does not exist.") from None
    except PermissionDenied:
        raise Refused("You may not do this.") from None
    except ValidationError as error:
        by_field = hasattr(error, "error_dict")
        raise Refused(
            "This is not valid.", error.message_dict if by_field else {str(NON_FIELD_ERRORS): error.messages}
        ) from None
    except (DataError, IntegrityError) as error:
        logger.warning("A request to change %s failed in the database: %s", model._meta.label, error)
        raise Refused("This conflicts with data that exists.") from None


def short(value: Any) -> Any:
    """The client's request, to be sent back and logged, with ``None`` for long values."""
    return value if len(str(value)) <= LONGEST_ECHO else None
