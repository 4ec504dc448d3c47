"""Time limits that are moved often, and what a client has not read yet."""

from __future__ import annotations

import asyncio
import socket

from interface_server.transport.deadline import Deadline, unread
from tests.interface_server.loops import until


def test_a_deadline_that_is_moved() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        calls: list[float] = []
        deadline = Deadline(loop, lambda: calls.append(loop.time()))
        began = loop.time()
        deadline.set(1000)
        deadline.set(0.01)  # earlier
        await until(lambda: calls)
        deadline.set(0.01)
        deadline.set(0.1)  # later
        again = loop.time()
        await until(lambda: len(calls) == 2)
        assert calls[0] - began >= 0.01
        assert calls[1] - again >= 0.09
        deadline.set(0.01)
        deadline.clear()
        other = Deadline(loop, lambda: calls.append(-1))
        other.set(0.05)
        await until(lambda: len(calls) == 3)
        assert calls[2] == -1
        deadline.set(0.01)
        deadline.cancel_timer()
        deadline.set(0.02)
        await until(lambda: len(calls) == 4)

    asyncio.run(main())


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
