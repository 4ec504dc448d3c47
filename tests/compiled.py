"""Compiles, before the tests, what each of their processes and programs would compile for itself."""

from __future__ import annotations

import compileall
import importlib
import multiprocessing
import os
import sys
import warnings
from contextlib import suppress
from pathlib import Path

import pytest

from tests.project import REPOSITORY


def compile_packages() -> None:
    """Compile the packages: programs that the tests start write no bytecode, and read this one.

    Without it each of some five hundred programs would spend a quarter of its start on compiling.
    """
    for package in ("channels_classic", "interface_server", "worker"):
        compileall.compile_dir(REPOSITORY / package, quiet=2, workers=0)


def compile_tests() -> None:
    """Let pytest rewrite the test modules of a new clone, and keep the result beside them.

    Each process of pytest-xdist collects all of them. All processes would rewrite each module at the same time,
    before there is a result that they could read.
    """
    modules = sorted((REPOSITORY / "tests").rglob("test_*.py"))
    if sys.dont_write_bytecode or all(map(_is_compiled, modules)):
        return
    fork = multiprocessing.get_context("fork")
    count = os.cpu_count() or 1
    processes = [fork.Process(target=_import, args=[modules[number::count]]) for number in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()


def _is_compiled(module: Path) -> bool:
    tag = f"{sys.implementation.cache_tag}-pytest-{pytest.__version__}"
    return (module.parent / "__pycache__" / f"{module.stem}.{tag}.pyc").exists()


def _import(modules: list[Path]) -> None:
    warnings.simplefilter("ignore")
    for module in modules:
        # A module that skips all of its tests, or has an error, tells that when it is collected.
        with suppress(Exception, pytest.skip.Exception):
            importlib.import_module(".".join(module.relative_to(REPOSITORY).with_suffix("").parts))
