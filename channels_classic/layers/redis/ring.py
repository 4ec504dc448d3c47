"""A consistent hash from names to servers. If you add a server, most names keep theirs."""

from __future__ import annotations

import bisect
import hashlib

POINTS_PER_SERVER = 128


class Ring:
    """Assigns names to servers.

    Arguments:
        servers: the number of servers, which are known by their positions.
    """

    def __init__(self, servers: int) -> None:
        self._single = servers == 1
        points = sorted(
            (_place(f"{server}:{point}"), server)
            for server in range(servers)
            for point in range(POINTS_PER_SERVER)
        )
        self._places = [place for place, _ in points]
        self._servers = [server for _, server in points]

    def server_for(self, name: str) -> int:
        """The position of the server that ``name`` belongs to."""
        if self._single:
            return 0
        return self._servers[bisect.bisect(self._places, _place(name)) % len(self._servers)]


def _place(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")
