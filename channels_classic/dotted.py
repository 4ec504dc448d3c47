"""Objects by their dotted path, which settings and routings use, and the dotted names of objects."""

from __future__ import annotations

import difflib
import os
import traceback
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from types import ModuleType
from typing import Any


def import_dotted(path: str, what: str, example: str) -> Any:
    """The object at a dotted path.

    Arguments:
        what: the kind of object that the path should lead to, for the error.
        example: the path of such an object, for the error.

    Raises:
        ImportError: there is no such module or no such name in it.
    """
    module_name, _, name = path.rpartition(".")
    try:
        if ":" in path:
            raise ImportError(f"write a dot for the colon: {path.replace(':', '.')!r}")
        if not module_name or "" in path.split("."):
            raise ImportError(f"it should be a module and a name in it, as in {example!r}")
        try:
            module = import_module(module_name)
        except ModuleNotFoundError as error:
            # The part before the last one may be a class: then this is the path of a method.
            outer, _, class_name = module_name.rpartition(".")
            if not outer or error.name != module_name:
                raise
            return getattr(_attribute(import_module(outer), class_name, example), name)
        return _attribute(module, name, example)
    except (ImportError, AttributeError) as error:
        raise ImportError(f"Cannot find {what} {path!r}: {error}{place_of(error)}") from error


def place_of(error: BaseException) -> str:
    """Where an error arose while a module was imported, as `` (mysite/routing.py, line 3)``.

    Returns:
        An empty text if no module was being imported, or if the error says it itself, as syntax errors do.
    """
    if isinstance(error, SyntaxError):
        return ""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.name == "<module>" and not frame.filename.startswith("<")
    ]
    if not frames:
        return ""
    file = os.path.relpath(frames[-1].filename)
    return f" ({frames[-1].filename if file.startswith(os.pardir) else file}, line {frames[-1].lineno})"


def _attribute(module: ModuleType, name: str, example: str) -> Any:
    """Get a name from a module. If it does not exist, the error suggests a similar one."""
    if hasattr(module, name):
        return getattr(module, name)
    raise ImportError(_what_there_is(module, name, example))


def _what_there_is(module: ModuleType, name: str, example: str) -> str:
    if hasattr(module, "__path__") and find_spec(f"{module.__name__}.{name}") is not None:
        inner = f"{module.__name__}.{name}.{example.rpartition('.')[2]}"
        return f"that is a module; add the name in it, as in {inner!r}"
    known = {*dir(module), *getattr(getattr(module, "__getattr__", None), "names", ())}
    known |= {each.name for each in iter_modules(getattr(module, "__path__", ()))}
    near = difflib.get_close_matches(name, sorted(each for each in known if not each.startswith("_")), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"module {module.__name__!r} has no attribute {name!r}{hint}"


def name_of(thing: Any) -> str:
    """The dotted name of a function, a method or a class, or of the class of anything else.

    A class method has the name of the class that it was taken from, which may have inherited it.
    """
    owner = getattr(thing, "__self__", None)
    if isinstance(owner, type):
        return f"{owner.__module__}.{owner.__qualname__}.{thing.__name__}"
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{named.__module__}.{named.__qualname__}"
