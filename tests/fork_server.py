"""A process that has imported what most programs import, and forks for each program that ``forked.py`` asks for.

The imports of Django and the rest take most of the CPU of a program that lives as long as a test. A fork has them
already. All else is as in a new interpreter: a process with its own pid, files, environment, path, signals and way
to end. None of the imports needs Django's settings.
"""

from __future__ import annotations

import atexit
import builtins
import gc
import importlib
import io
import json
import os
import posix
import runpy
import select
import signal
import socket
import sys
import types
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, NoReturn

from tests.spare_children import fork_spares

PRELOADED = (
    "channels_classic.apps",
    "channels_classic.asgi",
    "channels_classic.binding.checks",
    "channels_classic.channels4.checks",
    "channels_classic.checks",
    "channels_classic.command_owners",
    "channels_classic.delay.apps",
    "channels_classic.delay.management.commands.rundelay",
    "channels_classic.http.staticfiles",
    "channels_classic.layers.redis.layer",
    "channels_classic.management.commands.runworker",
    "channels_classic.plain_asgi",
    "channels_classic.processes.loading",
    "channels_classic.sessions",
    "channels_classic.shadowing",
    "django.conf.urls",
    "django.contrib.auth.apps",
    "django.contrib.auth.hashers",
    "django.contrib.auth.password_validation",
    "django.contrib.contenttypes.apps",
    "django.contrib.sessions.apps",
    "django.contrib.sessions.backends.db",
    "django.contrib.sessions.middleware",
    "django.contrib.sites.shortcuts",
    "django.contrib.staticfiles.apps",
    "django.contrib.staticfiles.finders",
    "django.contrib.staticfiles.handlers",
    "django.core.cache.backends.locmem",
    "django.core.handlers.asgi",
    "django.core.mail",
    "django.core.management.commands.check",
    "django.core.management.commands.makemigrations",
    "django.core.management.commands.migrate",
    "django.core.management.commands.runserver",
    "django.core.management.commands.startproject",
    "django.db.backends.sqlite3.base",
    "django.db.models.sql.compiler",
    "django.shortcuts",
    "django.template.loader_tags",
    "django.template.loaders.cached",
    "django.urls",
    "django.utils.translation.reloader",
    "django.views.csrf",
    "django.views.decorators.cache",
    "django.views.defaults",
    "encodings.idna",
    "interface_server.program.cli",
    "multiprocessing.popen_fork",
    "multiprocessing.popen_spawn_posix",
    "sqlite3",
    "worker.cli",
    "worker.group",
    "worker.health",
    "worker.loop",
    "worker.requests",
    "worker.retirement",
)

MOST_BYTES = 2**20  # of a request

SUPERVISES = ("--processes", "--max-")
"""How the options begin that make a program supervise others."""

SPARES = 8
"""Enough for the resource tracker of ``multiprocessing``, two processes, and those that replace them."""


class LastStep:
    """Ends a program when its interpreter takes away the last of what it has, its built-in names.

    All that a program can do or see is over by then. What an interpreter does after that goes through each string
    there is. In a fork, that copies most of the memory, and takes longer than a short program.

    Attributes:
        status: with which the program ends; ``None`` lets the interpreter end as ever.
    """

    status: int | None = None

    def __del__(self, end: Callable[[int], NoReturn] = posix._exit) -> None:  # no name of a module is left
        if self.status is not None:
            end(self.status)


def serve(control: socket.socket) -> dict[str, Any]:
    """Fork for each request. Returns the request in the process of its program, and nowhere else."""
    running: dict[int, tuple[int, int]] = {}  # pid and status pipe of each program, by the file of its process
    poll = select.poll()
    poll.register(control, select.POLLIN)
    while True:
        for ready, _ in poll.poll():
            if ready != control.fileno():
                poll.unregister(ready)
                pid, status = running.pop(ready)
                tell(status, os.waitpid(pid, 0)[1])
                close([ready, status])
                continue
            request, files, *_ = socket.recv_fds(control, MOST_BYTES, 3)
            if not request:
                sys.exit()
            output, errors, status = files
            if not (pid := os.fork()):
                close([control.detach(), status, *running, *(others for _, others in running.values())])
                hand_over(output, errors)
                program: dict[str, Any] = json.loads(request)
                return program
            close([output, errors])
            tell(status, pid)
            process = os.pidfd_open(pid)
            running[process] = (pid, status)
            poll.register(process, select.POLLIN)


def tell(status: int, number: int) -> None:
    """Write a pid or a wait status for ``forked.Forked``, which may have gone."""
    with suppress(BrokenPipeError):
        os.write(status, number.to_bytes(4, "little"))


def close(files: Iterable[int]) -> None:
    """Close them all."""
    for file in files:
        os.close(file)


def hand_over(output: int, errors: int) -> None:
    """Give the program its output, which is not buffered, and Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, file in ((1, output), (2, errors)):
        os.dup2(file, number)
        os.close(file)
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w"), write_through=True)  # type: ignore[arg-type]
    sys.stderr = io.TextIOWrapper(io.FileIO(2, "w"), write_through=True, errors="backslashreplace")  # type: ignore[arg-type]


def run(program: dict[str, Any], path: list[str]) -> None:
    """Run it as a new interpreter would.

    Arguments:
        path: what this interpreter has in ``sys.path`` by itself.
    """
    enter(program)
    for module in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
        del sys.modules[module]  # a project may have tests of its own
    module, script = program["module"], os.path.abspath(program["script"])
    first = os.getcwd() if module else os.path.dirname(script)
    if any(name.removesuffix(".py") in sys.modules for name in os.listdir(first) if is_importable(first, name)):
        # The project has a module of its own by the name of one that is imported here.
        os.execve(program["command"][0], program["command"], os.environ)
    sys.path[:] = [first, *os.environ["PYTHONPATH"].split(os.pathsep), *path]
    sys.argv[:] = [script, *program["arguments"]]
    supervises = any(argument.startswith(SUPERVISES) for argument in sys.argv)
    supervises |= any(name.endswith("_PROCESSES") for name in os.environ)  # the same option as a variable
    if supervises and (child := fork_spares(SPARES)):
        run_code(child, path)
    elif module:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(script, run_name="__main__")


def is_importable(folder: str, name: str) -> bool:
    """Whether a file or a folder in this folder is a module."""
    return name.endswith(".py") or os.path.isdir(os.path.join(folder, name))


def run_code(program: dict[str, Any], path: list[str]) -> None:
    """Run what follows ``-c`` as a new interpreter would."""
    enter(program)
    sys.path[:] = ["", *os.environ["PYTHONPATH"].split(os.pathsep), *path]
    sys.argv[:] = program["arguments"]
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    exec(program["code"], main.__dict__)


def enter(program: dict[str, Any]) -> None:
    """Go to the folder and the environment of a program."""
    os.chdir(program["folder"])
    os.environ.clear()
    os.environ.update(program["environment"])
    sys.dont_write_bytecode = "PYTHONDONTWRITEBYTECODE" in os.environ


def import_modules() -> None:
    """Import what programs need, and let it outlive each program.

    To take the modules to pieces would be half of the CPU of a short program. At its very end, a program forgets
    them instead. The list holds itself, and so the modules, because it is frozen.
    """
    names: set[str] = set()

    @atexit.register  # first, so it runs last: what others have registered may import
    def forget() -> None:
        for name in names:
            sys.modules[name] = None  # type: ignore[assignment]  # as Python does: none is imported again

    for module in PRELOADED:
        importlib.import_module(module)
    kept: list[object] = [*sys.modules.values()]
    kept.append(kept)
    names |= sys.modules.keys() - {"__main__", "builtins", "sys"}


def run_to_its_end(program: dict[str, Any], path: list[str]) -> None:
    """Run a program, and leave its status with the last step."""
    last_step = builtins.last_step = LastStep()  # type: ignore[attr-defined]
    try:
        run(program, path)
        last_step.status = 0
    except SystemExit as exit:
        code = 0 if exit.code is None else exit.code
        last_step.status = code & 0xFF if isinstance(code, int) else 1
        raise
    except Exception:
        last_step.status = 1
        raise


def main() -> None:
    """Serve the socket whose number is the argument."""
    path = sys.path[1:]  # the first is the folder that this module is found in
    import_modules()
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the programs and for the tests
    run_to_its_end(serve(socket.socket(fileno=int(sys.argv[1]))), path)


if __name__ == "__main__":
    main()
