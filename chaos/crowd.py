"""The crowd: sockets that chat, and visitors that open pages. Both record all that they send and get."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

ROOM_SIZE = 10
LEFT, CLOSED, DROPPED = "left", "closed", "dropped"
PAUSE_AFTER_REFUSAL = 0.2
AT_THE_DOOR = 50
"""The most members that connect at the same time."""


@dataclass
class Visit:
    """One connection of one member of the crowd.

    Arguments:
        name: the unique name of this connection.
        room: the room that it chats in.
        port: the port of the interface server.
        opened: the time at which it was accepted. All times are by the monotonic clock.
    """

    name: str
    room: int
    port: int
    opened: float
    ended: float | None = None
    how: str = ""
    """``left`` (by itself), ``closed`` (properly, by the server) or ``dropped``."""
    sent: dict[int, float] = field(default_factory=dict)
    answers: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    heard: Counter[tuple[str, int]] = field(default_factory=Counter)
    """How many times it got each message to its room."""


@dataclass(frozen=True)
class Page:
    """A request for a page: its time, the status (0 for no answer), and the seconds until the answer."""

    time: float
    status: int
    seconds: float


class Crowd:
    """Runs sockets and visitors until ``leave``.

    Arguments:
        ports: the ports of the interface servers.
        sockets: the number of members that chat.
        pause: seconds between two frames of one member, on average.
        pages: the number of pages per second.
    """

    def __init__(self, ports: Sequence[int], sockets: int, pause: float, pages: float) -> None:
        self.visits: list[Visit] = []
        self.pages: list[Page] = []
        self.refusals: list[float] = []
        """The times at which every interface server refused a connection."""
        self._ports = ports
        self._pause = pause
        self._page_rate = pages
        self._leaving = asyncio.Event()
        self._quiet = asyncio.Event()
        self._names = itertools.count()
        self._all_connected = asyncio.Event()
        self._missing = sockets
        self._door = asyncio.Semaphore(AT_THE_DOOR)
        self._tasks = [asyncio.create_task(self._chat(number)) for number in range(sockets)]
        self._tasks.append(asyncio.create_task(self._open_pages()))

    async def everybody_there(self) -> None:
        """Wait until every member has connected once."""
        await self._all_connected.wait()

    def fall_silent(self) -> None:
        """Send nothing more. Answers may still come."""
        self._quiet.set()

    def has_all_answers(self) -> bool:
        """Whether every frame of the sockets that are open was answered."""
        return all(len(visit.answers) == len(visit.sent) for visit in self.visits if visit.ended is None)

    def has_caught_up(self) -> bool:
        """Whether every open socket has the answer to a frame of the last second, or to the last one before that.

        A frame that was lost, with later ones answered, does not count.
        """
        since = time.monotonic() - 1
        return all(
            max(visit.answers, default=0) >= max((n for n, sent in visit.sent.items() if sent <= since), default=0)
            for visit in self.visits
            if visit.ended is None
        )

    async def leave(self) -> None:
        """Close every socket, and wait for that."""
        self._leaving.set()
        await asyncio.gather(*self._tasks)

    async def _chat(self, number: int) -> None:
        """Keep one member connected: open a new connection whenever one ends."""
        first = True
        while not self._leaving.is_set():
            async with self._door:
                connected = await self._connect(number)
            if connected is None:
                continue
            connection, visit = connected
            if first:
                first = False
                self._missing -= 1
                if not self._missing:
                    self._all_connected.set()
            speaking = asyncio.create_task(self._speak(connection, visit))
            try:
                async for frame in connection:
                    self._note(visit, str(frame))
            except ConnectionClosed:
                pass
            finally:
                speaking.cancel()
            visit.ended = time.monotonic()
            if self._leaving.is_set():
                visit.how = LEFT
            else:
                visit.how = CLOSED if connection.close_code in (1001, 1012) else DROPPED

    async def _connect(self, number: int) -> tuple[ClientConnection, Visit] | None:
        """Try one interface server after another, like a load balancer."""
        room, name = number // ROOM_SIZE, f"{number}.{next(self._names)}"
        start = random.randrange(len(self._ports))
        for port in [*self._ports[start:], *self._ports[:start]]:
            try:
                connection = await connect(f"ws://127.0.0.1:{port}/{room}/{name}", proxy=None, open_timeout=10)
            except (OSError, WebSocketException):
                continue
            visit = Visit(name, room, port, time.monotonic())
            self.visits.append(visit)
            return connection, visit
        self.refusals.append(time.monotonic())
        await asyncio.sleep(PAUSE_AFTER_REFUSAL)
        return None

    async def _speak(self, connection: ClientConnection, visit: Visit) -> None:
        leaving = asyncio.create_task(self._leaving.wait())
        try:
            for number in itertools.count(1):
                pause = random.uniform(0.5, 1.5) * self._pause
                await asyncio.wait([leaving], timeout=pause)
                if self._leaving.is_set():
                    await connection.close()
                    return
                if not self._quiet.is_set():
                    visit.sent[number] = time.monotonic()
                    await connection.send(f"{visit.name} {number}")
        except ConnectionClosed:
            pass
        finally:
            leaving.cancel()

    @staticmethod
    def _note(visit: Visit, frame: str) -> None:
        kind, name, number = frame.split()
        if kind == "own":
            visit.answers[int(number)].append(time.monotonic())
        else:
            visit.heard[name, int(number)] += 1

    async def _open_pages(self) -> None:
        limits = httpx.Limits(max_connections=100)
        opened: set[asyncio.Task[None]] = set()
        async with httpx.AsyncClient(timeout=30, limits=limits, trust_env=False) as client:
            for turn in itertools.count():
                if self._quiet.is_set():
                    break
                task = asyncio.create_task(self._open_page(client, turn))
                opened.add(task)
                task.add_done_callback(opened.discard)
                await asyncio.sleep(1 / self._page_rate)
            await asyncio.gather(*opened)

    async def _open_page(self, client: httpx.AsyncClient, turn: int) -> None:
        started = time.monotonic()
        status = 0
        for offset in range(len(self._ports)):
            port = self._ports[(turn + offset) % len(self._ports)]
            try:
                status = (await client.get(f"http://127.0.0.1:{port}/")).status_code
            except httpx.ConnectError:
                continue  # nobody listens, so a load balancer asks the next one
            except httpx.HTTPError:
                status = 0
            break
        self.pages.append(Page(started, status, time.monotonic() - started))
