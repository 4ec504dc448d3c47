"""Unix sockets: sockets in the file system."""

from __future__ import annotations

import errno
import os
import socket
import stat


def bind_unix(path: str) -> socket.socket:
    """Make a unix socket, and bind it. A socket that a killed process has left there is removed.

    Raises:
        OSError: another file has this name, or another server listens on it.
    """
    if os.path.lexists(path):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise OSError(errno.EEXIST, "there is something else of that name")
        probe = socket.socket(socket.AF_UNIX)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)  # a killed server has left it
        else:
            raise OSError(errno.EADDRINUSE, "another server listens there")
        finally:
            probe.close()
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.bind(path)
        # The proxy may run as another user. The permissions of the folder decide who can connect.
        os.chmod(path, 0o666)  # noqa: S103
    except OSError:
        sock.close()
        raise
    return sock


class SocketFile:
    """The file of a unix socket that was just bound. Its server removes it in the end.

    While this server finishes, another one may already serve on a socket of its own with this path.

    Arguments:
        path: the path of the socket.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._identity = _identity(path)

    def remove(self) -> None:
        """Remove the file, unless it is that of another server."""
        try:
            if _identity(self._path) == self._identity:
                os.unlink(self._path)
        except FileNotFoundError:
            pass


def _identity(path: str) -> tuple[int, ...]:
    """Numbers that no other file of this path has. The number of an inode alone may be given again."""
    status = os.lstat(path)
    return status.st_dev, status.st_ino, status.st_mtime_ns
