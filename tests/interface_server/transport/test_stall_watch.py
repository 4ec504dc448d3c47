"""What a client has not read yet."""

from __future__ import annotations

import asyncio
import socket

from interface_server.transport.stall_watch import unread
from tests.interface_server.loops import until


def test_what_is_in_the_systems_own_buffer_is_unread_too() -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
        assert unread(transport) == 0
        transport.write(b"x" * 1000)
        await until(lambda: transport.get_write_buffer_size() == 0)
        assert unread(transport) >= 1000
        assert len(theirs.recv(2000)) == 1000
        await until(lambda: unread(transport) == 0)
        transport.close()
        theirs.close()

    asyncio.run(main())
