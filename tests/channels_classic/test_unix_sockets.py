"""Unix sockets: whose file is where."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from channels_classic.unix_sockets import SocketFile, bind_unix


def test_a_server_removes_its_own_file_only(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with bind_unix(path):
        first = SocketFile(path)
    with bind_unix(path):  # nobody listened on the first one any more
        second = SocketFile(path)
        first.remove()
        assert os.path.exists(path)
        os.chmod(path, 0o600)
        second.remove()
        assert not os.path.exists(path)
        second.remove()


def test_a_path_that_is_in_use(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with bind_unix(str(path)) as listening:
        listening.listen()
        with pytest.raises(OSError, match="another server listens there"):
            bind_unix(str(path))
    path.unlink()
    path.write_text("notes")
    with pytest.raises(OSError, match="something else of that name"):
        bind_unix(str(path))
    assert path.read_text() == "notes"
