"""A process that has imported what most programs import, and forks for each program that ``forked.py`` asks for.

The imports of Django and the rest take most of the CPU of a program that lives as long as a test. A fork has them
already. All else is as in a new interpreter: a process with its own pid, files, environment, path, signals and way
to end. None of the imports needs Django's settings.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import io
import json
import os
import runpy
import signal
import socket
import sys
import types
from typing import Any

from tests.spare_children import fork_spares

PRELOADED = (
    "channels_classic.asgi",
    "channels_classic.layers.redis.layer",
    "channels_classic.management.commands.runworker",
    "channels_classic.sessions",
    "django.contrib.auth.hashers",
    "django.contrib.sessions.backends.db",
    "django.contrib.staticfiles.finders",
    "django.core.mail",
    "django.core.management.commands.check",
    "django.core.management.commands.migrate",
    "django.core.management.commands.runserver",
    "django.core.management.commands.startproject",
    "django.db.backends.sqlite3.base",
    "django.template.loader_tags",
    "django.template.loaders.cached",
    "django.urls",
    "django.views.defaults",
    "interface_server.program.cli",
    "sqlite3",
    "worker.cli",
    "worker.group",
    "worker.loop",
)

MOST_BYTES = 2**20  # of a request

SUPERVISES = ("--processes", "--max-")
"""How the options begin that make a program supervise others."""

SPARES = 8
"""Enough for the resource tracker of ``multiprocessing``, two processes, and those that replace them."""


def serve(control: socket.socket) -> dict[str, Any]:
    """Fork for each request. Returns the request in the process of its program, and nowhere else."""
    while True:
        request, files, *_ = socket.recv_fds(control, MOST_BYTES, 3)
        if not request:
            sys.exit()
        output, errors, status = files
        if not os.fork():
            control.close()
            fork_and_wait(status)
            hand_over(output, errors)
            program: dict[str, Any] = json.loads(request)
            return program
        for file in files:
            os.close(file)


def fork_and_wait(status: int) -> None:
    """Fork the program, and write its pid and then its wait status to ``status``. Returns in the program."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if program := os.fork():
        os.write(status, program.to_bytes(4, "little"))
        os.write(status, os.waitpid(program, 0)[1].to_bytes(4, "little"))
        os._exit(0)
    os.close(status)


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
    if any(name.removesuffix(".py") in sys.modules for name in os.listdir(first)):
        # The project has a module of its own by the name of one that is imported here.
        os.execve(sys.executable, program["command"], os.environ)
    sys.path[:] = [first, *os.environ["PYTHONPATH"].split(os.pathsep), *path]
    sys.argv[:] = [script, *program["arguments"]]
    if any(argument.startswith(SUPERVISES) for argument in sys.argv) and (child := fork_spares(SPARES)):
        run_code(child, path)
    elif module:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(script, run_name="__main__")


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


def main() -> None:
    """Serve the socket whose number is the argument."""
    path = sys.path[1:]  # the first is the folder that this module is found in
    import_modules()
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the programs and for the tests
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the processes that wait for the programs
    run(serve(socket.socket(fileno=int(sys.argv[1]))), path)


if __name__ == "__main__":
    main()
