"""A forked program cannot be told from one with an interpreter of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from tests import forked
from tests.interface_server.hosted import eventually
from tests.programs import children_of, environment_with, is_alive, running
from tests.project import DEADLINE

PROGRAMS = {
    "what it is": """\
        import os, signal, sys
        here = os.getcwd()
        print(__name__, __file__ == f"{here}/manage.py", __doc__, sys.argv[1:], sys.path[0] == here, sys.path[1:])
        print(sorted(os.environ), sys.dont_write_bytecode, len(os.listdir("/proc/self/fd")))
        print([signal.getsignal(number) for number in sorted(signal.valid_signals())])
        print(sys.modules["__main__"].__file__, "django" in sys.modules["__main__"].__dict__)
        import multiprocessing
        print(multiprocessing.parent_process(), "tests" in sys.modules)
    """,
    "both outputs": "import sys; print('ä', end=''); sys.stderr.write('\\udcff')",
    "a status": "import sys; sys.exit(3)",
    "a text": "import sys; sys.exit('wrong')",
    "an error": "1 / 0",
    "a signal": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "Ctrl-C": "import os, signal; os.kill(os.getpid(), signal.SIGINT); signal.pause()",
    "what runs at the end": """\
        import atexit, threading, time
        atexit.register(print, "at the end")
        threading.Thread(target=lambda: print(threading.main_thread().join() or "after the main thread")).start()
    """,
    "an import at the very end": """\
        import redis.asyncio
        class Late:
            def __del__(self):
                try:
                    import redis.asyncio.client
                except ImportError:
                    print("too late")
        late = Late()
        late.itself = late
    """,
    "children": """\
        import multiprocessing, os, signal, sys
        def child(number):
            here = os.getcwd()
            print(number, __name__, sys.argv[1:], sys.path[0] == f"{here}/project", sys.path[1:])
            print([signal.getsignal(number) for number in sorted(signal.valid_signals())])
            print(signal.pthread_sigmask(signal.SIG_BLOCK, []), len(os.listdir("/proc/self/fd")))
            print(multiprocessing.parent_process().pid == os.getppid(), sorted(os.environ))
            sys.exit(number)
        if __name__ == "__main__":
            os.environ["NEW"] = "of the program"
            os.chdir("..")
            for number in range(9):  # more than there are spare processes
                signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP, signal.SIGTERM][:number])
                process = multiprocessing.get_context("spawn").Process(target=child, args=[number])
                process.start()
                process.join()
                print(process.exitcode)
    """,
    "a module by a name that is taken": "import worker; print(worker.own)",
}


@pytest.mark.skipif("COVERAGE_RUN" in os.environ, reason="Coverage sets up forks in another way.")
@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_it_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "manage.py").write_text(dedent(program))
    if "own" in program:
        (folder / "worker.py").write_text("own = True")
    command = [sys.executable, "-u", "manage.py", "one", "--processes" if "spawn" in program else "two"]
    environment = environment_with()

    def outcome() -> tuple[int, str, str]:
        done = forked.completed(command, folder, environment, DEADLINE)
        return done.returncode, done.stdout, done.stderr[-40:]  # a traceback begins with how it came there

    in_a_fork = outcome()
    monkeypatch.setenv("FRESH_PROGRAMS", "1")
    assert in_a_fork == outcome()


def test_signals_and_waiting(tmp_path: Path) -> None:
    (tmp_path / "manage.py").write_text("import signal; print('ready'); signal.pause()")
    with running([sys.executable, "manage.py"], tmp_path) as program:
        process = program.process
        assert isinstance(process, forked.Forked)
        program.wait("ready")
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        process.terminate()
        assert process.wait() == process.poll() == process.returncode == -signal.SIGTERM
        process.kill()


def test_spare_children_end_with_their_program(tmp_path: Path) -> None:
    (tmp_path / "manage.py").write_text("import signal; print('ready'); signal.pause()")
    with running([sys.executable, "manage.py", "--processes"], tmp_path) as program:
        program.wait("ready")
        spares = children_of(program.process.pid)
        assert spares
        program.process.kill()
        assert eventually(lambda: not any(map(is_alive, spares)))
