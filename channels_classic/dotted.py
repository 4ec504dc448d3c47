"""Objects by their dotted path, which settings and routings use."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def import_dotted(path: str, what: str) -> Any:
    """The object at a dotted path.

    Arguments:
        what: the kind of object that the path should lead to, for the error.

    Raises:
        ImportError: there is no such module or no such name in it.
    """
    module_name, _, name = path.rpartition(".")
    try:
        if not module_name or "" in path.split("."):
            raise ImportError("it should be a module and a name in it, as in 'project.consumers.connect'")
        try:
            module = import_module(module_name)
        except ModuleNotFoundError as error:
            # The part before the last may be a class: then this is the dotted path of a method.
            outer, _, class_name = module_name.rpartition(".")
            if not outer or error.name != module_name:
                raise
            return getattr(getattr(import_module(outer), class_name), name)
        return getattr(module, name)
    except (ImportError, AttributeError) as error:
        raise ImportError(f"Cannot find {what} {path!r}: {error}") from error
