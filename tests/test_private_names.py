"""The private names of other packages that we use are all in one table, and exist.

A new private name fails a test until it is in the table. A version of a package that lacks one fails another, and
the bounds in ``setup.cfg`` keep such a version away from users.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pytest
import redis
import redis.asyncio
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.staticfiles.handlers import StaticFilesHandlerMixin
from django.core.handlers.base import BaseHandler
from django.db.models import QuerySet
from django.db.transaction import Atomic
from django.http import HttpRequest, HttpResponse
from django.test import LiveServerTestCase

import channels_classic
import interface_server
import worker
from channels_classic.layers.redis.connections import private
from tests.project import REPOSITORY

PACKAGES = (channels_classic, interface_server, worker)
# The standard library is not a third party. What is DOCUMENTED is public: see Django's pages and named tuples.
NOT_FOREIGN = {*sys.stdlib_module_names, *(package.__name__ for package in PACKAGES)}
DOCUMENTED = {
    "_fields",
    "_replace",
    "_asdict",
    "_state",
    "_meta",
    "_exit",
    "_current_frames",
    "_base_manager",
    "_default_manager",
}

USED: dict[str, dict[str, Any]] = {
    "channels_classic.layers.redis.connections.private": {
        "_sock": redis.Connection(),
        "_reader": redis.asyncio.Connection(),
        "_writer": redis.asyncio.Connection(),
    },
    "channels_classic.binding.commits": {"_from_testcase": Atomic},
    "channels_classic.delay.models": {"_for_write": QuerySet},
    "channels_classic.http.handler": {"_get_response": BaseHandler, "_store": HttpResponse().headers},
    "channels_classic.http.request": {
        "_encoding": HttpRequest,
        "_files": HttpRequest,
        "_get_scheme": HttpRequest,
        "_load_post_and_files": HttpRequest,
        "_post": HttpRequest,
        "_read_started": HttpRequest,
        "_set_content_type_params": HttpRequest,
        "_stream": HttpRequest,
    },
    "channels_classic.http.staticfiles": {
        "_resource_closers": HttpResponse(),
        "_should_handle": StaticFilesHandlerMixin,
    },
    "channels_classic.sessions.engine": {
        "_get_new_session_key": SessionBase,
        "_get_session": SessionBase,
        "_session_key": SessionBase,
    },
    "channels_classic.sessions.store": {"_session_cache": SessionBase, "_session_key": SessionBase},
    "channels_classic.test.liveserver": {"_create_server_thread": LiveServerTestCase},
    "channels_classic.test.session": {"_session_key": SessionBase},
}
"""Private names by the module that uses them, each with the class or the object that has it."""


def is_installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


HAS_CHANNELS = is_installed("channels")
"""Whether the Channels of today is installed, which the modules that go beside it import."""


OF_THE_ADMIN = ("channels_classic.live.admin", "channels_classic.live.models")
"""These need Django's admin among the installed apps, which the settings of the tests do not have."""


def modules() -> Iterator[ModuleType]:
    for package in PACKAGES:
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            needs_other = found.name.startswith("channels_classic.channels4") and not HAS_CHANNELS
            needs_other = needs_other or found.name in OF_THE_ADMIN
            if not found.name.endswith("__main__") and not needs_other:
                yield importlib.import_module(found.name)


def source_of(module: ModuleType) -> str:
    return Path(str(module.__file__)).read_text()


def private_among(names: set[str]) -> set[str]:
    return {name for name in names if name.startswith("_") and not name.startswith("__")} - DOCUMENTED - {"_"}


def used_on_objects(module: ModuleType) -> set[str]:
    """Private names that a module imports, or uses of other things than itself, and does not define."""
    used, defined = set(), set()
    for node in ast.walk(ast.parse(source_of(module))):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                defined.add(name)
            case ast.Attribute(attr=name, ctx=ast.Store()) | ast.Name(id=name, ctx=ast.Store()):
                defined.add(name)
            case ast.Attribute(attr=name, value=owner) if ast.unparse(owner) not in ("self", "cls", "super()"):
                used.add(name)
            case ast.ImportFrom(module=str(source), names=aliases):
                used.update(source.split("."), (alias.name for alias in aliases))
    return private_among(used - defined)


def names_of(kind: type) -> set[str]:
    """The private names that a class has, or that its methods use."""
    found = set(vars(kind))
    codes = [inspect.unwrap(function).__code__ for function in functions_of(kind) if hasattr(function, "__code__")]
    while codes:
        code = codes.pop()
        found.update(code.co_names)
        codes += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return private_among(found)


def functions_of(kind: type) -> Iterator[Any]:
    for value in vars(kind).values():
        for part in ("fget", "fset", "func", "__func__"):
            if (function := getattr(value, part, None)) is not None:
                yield function
        yield value


def shared_with_bases(module: ModuleType) -> set[str]:
    """Private names that a module's classes have or use, and that bases of other packages have or use too."""
    found = set()
    for kind in vars(module).values():
        if isinstance(kind, type) and kind.__module__ == module.__name__:
            for base in kind.__mro__:
                if base.__module__.partition(".")[0] not in NOT_FOREIGN:
                    found |= names_of(kind) & names_of(base)
    # A metaclass may have put more into a class than its source has.
    return {name for name in found if name in source_of(module)}


def test_every_private_name_of_others_is_in_the_table() -> None:
    used = {module.__name__: used_on_objects(module) | shared_with_bases(module) for module in modules()}
    assert {module: names for module, names in used.items() if names} == {
        module: set(names) for module, names in USED.items()
    }


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in USED.items() for name in names])
def test_the_installed_version_has_it(module: str, name: str) -> None:
    owner = USED[module][name]
    assert hasattr(owner, name) or name in names_of(owner), f"{module} uses {name}, which {owner} lacks."


def test_a_redis_py_without_the_names_is_refused_with_the_remedy() -> None:
    class Connection:
        _sock = None

    with pytest.raises(ImportError, match=r"Connection has no '_reader'.*pip install 'redis >=5.0, <9'"):
        private.check(Connection(), Connection())


def test_the_remedy_is_what_the_package_requires() -> None:
    with pytest.raises(ImportError) as refusal:
        private.check(object(), object())
    (remedy,) = re.findall(r"pip install '(.+?)'", str(refusal.value))
    assert f"    {remedy}\n" in (REPOSITORY / "setup.cfg").read_text()
