"""The journal of a worker process, for the process itself and for its sweep."""

from __future__ import annotations

import errno
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels_classic.layers import Process
from channels_classic.layers.takers import taker_name
from channels_classic.layers.tracking import Progress
from channels_classic.processes import journal
from channels_classic.processes.journal import Journal, read_journal, remove_journal, remove_stale_journals
from tests.programs import environment_with
from tests.project import DEADLINE

NAME = "worker.test"


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(journal, "MEMORY", tmp_path)
    return tmp_path


def process(path: object, name: str = NAME) -> Process:
    return Process(name, {"journal": path})


def test_the_journal_is_read_as_it_was_written(memory: Path) -> None:
    written = Journal(NAME, 3)
    written.pages[0].begin(7)
    written.pages[2].begin(2**40)
    for _ in range(5):
        written.pages[2].start()
    written.pages[2].take_back()
    assert read_journal(process(written.path)) == {
        taker_name(NAME, 0): Progress(7, 0),
        taker_name(NAME, 1): Progress(0, 0),
        taker_name(NAME, 2): Progress(2**40, 4),
    }
    written.pages[2].begin(2**40 + 1)
    marks = read_journal(process(written.path))
    assert marks is not None
    assert marks[taker_name(NAME, 2)] == Progress(2**40 + 1, 0)


def test_done_messages_are_known_until_the_next_batch(memory: Path) -> None:
    written = Journal(NAME, 2)
    page = written.pages[1]
    page.begin(7)
    for _ in range(64):
        page.start()
    page.done(0, 63)
    page.done(5)
    assert read_journal(process(written.path)) == {
        taker_name(NAME, 0): Progress(0, 0),
        taker_name(NAME, 1): Progress(7, 64, 1 | 1 << 5 | 1 << 63),
    }
    page.begin(8)
    assert read_journal(process(written.path))[taker_name(NAME, 1)] == Progress(8, 0)


def test_it_is_for_its_user_only(memory: Path) -> None:
    path = Path(Journal(NAME, 1).path)
    assert path.parent.parent == memory
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_folder_that_others_can_write_to_is_not_used(
    memory: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))
    folder = memory / f"channels-classic-{os.geteuid()}"
    folder.mkdir()
    folder.chmod(0o777)
    assert Path(Journal(NAME, 1).path).parent.parent == elsewhere
    folder.rmdir()
    (memory / "target").mkdir(mode=0o700)
    folder.symlink_to(memory / "target")
    assert Path(Journal("worker.other", 1).path).parent.parent == elsewhere


def test_no_place_for_journals_is_an_os_error(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MEMORY", memory / "missing")
    monkeypatch.setattr("tempfile.tempdir", str(memory / "missing"))
    with pytest.raises(OSError, match="has room for the journals"):
        Journal(NAME, 1)


def bad_paths(written: Journal, folder: Path) -> list[object]:
    """Paths that a hostile registry could name."""
    own = Path(written.path)
    link = own.with_name(f"{os.getpid()}-link.journal")
    link.symlink_to(own)
    pipe = own.with_name(f"{os.getpid()}-pipe.journal")
    os.mkfifo(pipe, 0o600)
    empty = own.with_name(f"{os.getpid()}-empty.journal")
    empty.touch(0o600)
    public = own.with_name(f"{os.getpid()}-public.journal")
    public.write_bytes(own.read_bytes())
    public.chmod(0o666)
    elsewhere = folder / own.name
    elsewhere.write_bytes(own.read_bytes())
    elsewhere.chmod(0o600)
    folder.chmod(0o755)
    return [None, 7, "", "\0", str(own.parent), "/etc/passwd", "/dev/zero", link, pipe, empty, public, elsewhere]


def test_an_untrusted_journal_is_not_read(memory: Path) -> None:
    written = Journal(NAME, 1)
    for path in bad_paths(written, memory):
        bad = process(path if path is None or isinstance(path, int) else str(path))
        assert read_journal(bad) is None, path
        remove_journal(bad)
    assert read_journal(process(written.path, "worker.another")) is None
    assert read_journal(Process(NAME, {})) is None
    assert read_journal(process(written.path)) is not None


@given(content=st.binary(max_size=80))
def test_any_content_is_handled(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("own", numbered=True)
    folder.chmod(0o700)
    path = folder / "1-worker.test.journal"
    path.write_bytes(content)
    path.chmod(0o600)
    assert read_journal(process(str(path))) is None
    path.write_bytes(journal.NUMBER.pack(journal.MAGIC) + content)
    read_journal(process(str(path)))


def test_the_sweep_removes_the_journal(memory: Path) -> None:
    written = Journal(NAME, 1)
    remove_journal(process(written.path))
    assert not Path(written.path).exists()
    written.pages[0].begin(1)
    written.keep()
    written.remove()


def test_stale_journals_are_removed(memory: Path) -> None:
    folder = Path(Journal("worker.alive", 1).path).parent
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait(DEADLINE)
    files = {
        name: folder / name
        for name in (f"{gone.pid}-worker.old.journal", f"{gone.pid}-worker.new.journal", f"{gone.pid}-notes.txt")
    }
    for file in files.values():
        file.touch()
    for name in (f"{gone.pid}-worker.old.journal", f"{gone.pid}-notes.txt"):
        os.utime(files[name], (1, 1))
    os.utime(Path(Journal("worker.busy", 1).path), (1, 1))
    remove_stale_journals(folder)
    left = {path.name for path in folder.iterdir()}
    assert f"{gone.pid}-worker.old.journal" not in left
    assert {f"{gone.pid}-worker.new.journal", f"{gone.pid}-notes.txt"} <= left
    assert len(left) == 4


PROGRAM = """\
import sys
from pathlib import Path
from channels_classic.processes import journal
journal.MEMORY = Path(sys.argv[1])
written = journal.Journal("worker.test", 1)
print(written.path, flush=True)
page = written.pages[0]
batch = 0
# Batch n has n % 60 + 1 messages: so a mark that mixes two batches would be seen.
while True:
    batch += 1
    page.begin(batch)
    for _ in range(batch % 60 + 1):
        page.start()
    page.done(0)
"""


@pytest.mark.parametrize("seed", range(4))
def test_it_is_whole_whenever_its_process_is_killed(memory: Path, seed: int) -> None:
    moments = random.Random(seed)
    for _ in range(5):
        program = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(memory)], env=environment_with(), stdout=subprocess.PIPE, text=True
        )
        assert program.stdout is not None
        with program.stdout as output:
            path = output.readline().strip()
        time.sleep(moments.uniform(0, 0.02))
        program.send_signal(signal.SIGKILL)
        program.wait(DEADLINE)
        marks = read_journal(process(path))
        assert marks is not None
        batch, started, done = marks[taker_name(NAME, 0)]
        assert 0 <= started <= batch % 60 + 1
        assert done in (0, 1)
        assert done <= started


def test_a_file_system_that_is_full_ends_no_process(memory: Path) -> None:
    """A write to a part of a mapped file that has no room yet would end the process by SIGBUS."""
    written = Journal(NAME, 10_000)
    status = os.stat(written.path)
    assert status.st_blocks * 512 >= status.st_size


def test_a_journal_that_cannot_be_made_is_removed(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mmap.mmap", full)
    with pytest.raises(OSError, match="No space left"):
        Journal(NAME, 3)
    assert not list(memory.glob("*/*.journal"))


def test_a_journal_that_nobody_has_room_to_open_now(memory: Path) -> None:
    """It may still say that messages were not started, so these do not count as lost yet."""
    written = Journal(NAME, 1)
    assert read_journal(process(written.path)) is not None
    former = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, former[1]))
        with pytest.raises(OSError, match="Too many open files"):
            read_journal(process(written.path))
        remove_journal(process(written.path))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, former)
    assert read_journal(process(written.path)) is not None
