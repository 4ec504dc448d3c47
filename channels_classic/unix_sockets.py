"""Sockets in the file system."""

from __future__ import annotations

import errno
import os
import socket
import stat


def bind_unix(path: str) -> socket.socket:
    """A socket in the file system, bound; one that a killed process has left there goes.

    Raises:
        OSError: it cannot be had: something else of that name is there, or somebody listens.
    """
    if os.path.lexists(path):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise OSError(errno.EEXIST, "there is something else of that name")
        probe = socket.socket(socket.AF_UNIX)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)  # left over by a server that was killed
        else:
            raise OSError(errno.EADDRINUSE, "another server listens there")
        finally:
            probe.close()
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(path)
    # The proxy may run as another user. The rights of the folder decide who may connect.
    os.chmod(path, 0o666)  # noqa: S103
    return sock
