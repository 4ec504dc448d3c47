"""Finds imports of old names that are missing here, and a legacy import that is missing or comes too late."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import channels_classic
from channels_classic.legacycheck.finding import Finding
from channels_classic.legacycheck.project import Project, SourceFile
from channels_classic.old_names import ADDED, PACKAGES, current_name

LEGACY = "channels_classic.legacy"

TODAYS_MODULES = (
    "channels.consumer",
    "channels.db",
    "channels.generic.http",
    "channels.generic.websocket",
    "channels.http",
    "channels.layers",
    "channels.middleware",
    "channels.security.websocket",
    "channels.testing",
)
TODAYS_NAMES = ("AuthMiddlewareStack", "ChannelNameRouter", "ProtocolTypeRouter", "URLRouter")
"""Modules that exist only in Channels 2 and later."""

UNSUPPORTED = {
    "asgi_ipc": "Use the Redis layer, or InMemoryChannelLayer where one process does all.",
    "asgi_rabbitmq": "Use the Redis layer.",
    "channels.database_layer": "Use the Redis layer.",
    "daphne": "Start channels-interface instead; in tests, ChannelLiveServerTestCase runs a server.",
}
"""Old packages without a replacement here."""

REPLACED = "channels_classic.tests"


class Import(NamedTuple):
    """One name that a module imports; ``name`` is empty for the module itself."""

    module: str
    name: str
    line: int


def imports_of(file: SourceFile) -> list[Import]:
    """The imports of a module in the order of its lines, without relative ones, which are the project's own."""
    found = []
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Import):
            found += [Import(alias.name, "", node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found += [Import(node.module, alias.name, node.lineno) for alias in node.names]
    return sorted(found, key=lambda each: each.line)


def is_old(name: str) -> bool:
    """Whether the legacy import defines a module's name."""
    return is_within(name, PACKAGES)


def is_within(name: str, packages: Iterable[str]) -> bool:
    """Whether a dotted name is one of these, or inside one of them."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def check(project: Project) -> Iterator[Finding]:
    """Look at all imports of the project."""
    uses_old = False
    for file in project.modules:
        imports = imports_of(file)
        uses_old = uses_old or any(is_old(each.module) for each in imports)
        yield from _check_names(file, imports)
        yield from _check_order(file, imports)
    if uses_old or any("'channels'" in file.text or '"channels"' in file.text for file in _settings(project)):
        yield from _check_entry_points(project)


def _check_names(file: SourceFile, imports: list[Import]) -> Iterator[Finding]:
    for module, name, line in imports:
        full = f"{module}.{name}" if name else module
        for package, remedy in UNSUPPORTED.items():
            if is_within(full, [package]):
                yield file.finding(line, "no-such-package", f"Nothing stands for {package!r} here.", remedy)
        if not is_old(module) or is_within(full, UNSUPPORTED):
            continue
        if is_within(full, TODAYS_MODULES) or name in TODAYS_NAMES:
            yield file.finding(
                line,
                "todays-channels",
                f"{full!r} is a name of Channels 2 or later, which the legacy import hides.",
                "If the project uses both, leave the legacy import out, and write channels_classic for the "
                "classic one.",
            )
        elif not _exists(module, name):
            yield file.finding(
                line,
                "no-such-name",
                f"There is no {full!r} here.",
                "Take it from where your project can do without it; the page Migrating from Channels 1 lists what "
                "the old names mean.",
            )


def _check_order(file: SourceFile, imports: list[Import]) -> Iterator[Finding]:
    legacy = [each.line for each in imports if LEGACY in (each.module, f"{each.module}.{each.name}")]
    before = [each for each in imports if legacy and is_old(each.module) and each.line < legacy[0]]
    if before:
        yield file.finding(
            before[0].line,
            "legacy-import-late",
            f"{before[0].module!r} is imported before {LEGACY}, so it is not found.",
            f"Make 'import {LEGACY}' the first line.",
        )


def _check_entry_points(project: Project) -> Iterator[Finding]:
    settings = _settings(project)
    if not settings:
        yield Finding(
            "manage.py",
            1,
            "no-settings",
            "No manage.py, asgi.py or wsgi.py says which settings the project has.",
            f"Make 'import {LEGACY}' the first line of the settings.",
        )
    for file in settings:
        if not any(_imports_legacy(each) for each in [file, *_starred(project, file)]):
            yield file.finding(
                1,
                "legacy-import",
                f"The project uses old names, but its settings do not import {LEGACY}.",
                f"Make 'import {LEGACY}' the first line of this file.",
            )
    for file in project.modules:
        # Read before any settings are.
        if Path(file.name).name in ("asgi.py", "manage.py") and not _imports_legacy(file):
            for each in [each for each in imports_of(file) if is_old(each.module)][:1]:
                yield file.finding(
                    each.line,
                    "legacy-import",
                    f"{each.module!r} is imported here before the settings are read.",
                    f"Make 'import {LEGACY}' the first line of this file.",
                )


def _imports_legacy(file: SourceFile) -> bool:
    return any(LEGACY in (each.module, f"{each.module}.{each.name}") for each in imports_of(file))


def _settings(project: Project) -> list[SourceFile]:
    """The settings that ``manage.py`` and similar files name."""
    names = []
    for file in project.modules:
        if Path(file.name).name not in ("asgi.py", "manage.py", "wsgi.py"):
            continue
        for node in ast.walk(file.tree):
            if isinstance(node, ast.Call) and len(node.args) == 2:
                key, value = (each.value if isinstance(each, ast.Constant) else None for each in node.args)
                if key == "DJANGO_SETTINGS_MODULE" and isinstance(value, str) and value not in names:
                    names.append(value)
    return [file for file in map(project.module, names) if file is not None]


def _starred(project: Project, file: SourceFile) -> Iterator[SourceFile]:
    """The modules of the project from which a settings file takes everything: ``from .base import *``."""
    folder = Path(file.name).parent
    for node in file.tree.body:
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            where = folder.joinpath(*[".."] * (node.level - 1)) if node.level else Path()
            dotted = [part for part in where.as_posix().split("/") if part not in ("", ".")]
            module = project.module(".".join([*dotted, *(node.module or "").split(".")]))
            if module is not None and module is not file:
                yield module


def _exists(module: str, name: str) -> bool:
    current = current_name(module) or module
    if current == REPLACED:
        current = "channels_classic.test"
    path = _path(current)
    if path is None:
        return False
    known = _names(path)
    if not name or name == "*" or known is None:
        return True
    moved = current_name(f"{current}.{name}") or f"{current}.{name}"
    return name in known or name in ADDED.get(current, {}) or _path(moved) is not None


def _path(module: str) -> Path | None:
    """The file of one of our modules; found without importing it, which would need settings."""
    path = Path(channels_classic.__file__).parent.parent.joinpath(*module.split("."))
    for candidate in (path / "__init__.py", path.with_suffix(".py")):
        if candidate.exists():
            return candidate
    return None


@functools.lru_cache
def _names(path: Path) -> frozenset[str] | None:
    """The names that a module defines or imports at its top; ``None`` if they are not known."""
    names: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names.update((alias.asname or alias.name) for alias in node.names)
        else:
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
            waiting += ast.iter_child_nodes(node)
    return None if "*" in names else frozenset(names)
