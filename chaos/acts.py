"""The acts of the show. Each does something to the cluster, and has a promise with limits in numbers."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from chaos.stage import PROCESSES, READY, THREADS, Stage, last_worker_process, wait_for_interface, wait_for_worker

IN_FLIGHT = 10
"""The most pages that an interface server is about to answer when it is killed, on a busy machine."""

LAST_MOMENT = 20
"""The most frames, or answers, that may be on their way to Redis at the moment when it dies."""


@dataclass(frozen=True)
class Limits:
    """The most that may happen because of an act.

    Arguments:
        lost: frames that no consumer ran, on sockets whose interface server lived.
        unanswered: frames that were run, and whose answer did not come, on the same sockets.
        dropped: sockets that ended without a proper close; ``None`` for those of the interface server that was
            killed.
        closes: whether the server may close sockets properly.
        longest: seconds between a frame and its answer.
        failed_pages: requests without an answer of 200; ``None`` where 503 and refusals are promised for a while.
    """

    lost: int = 0
    unanswered: int = 0
    dropped: int | None = 0
    closes: bool = False
    longest: float = 2.0
    failed_pages: int | None = 0


@dataclass(frozen=True)
class Act:
    """Something that is done to the cluster.

    Arguments:
        title, promise: texts for people.
        limits: the promise in numbers.
        play: does it, and returns when everything runs again.
    """

    title: str
    promise: str
    limits: Limits
    play: Callable[[Stage], Awaitable[None]]


async def nothing(stage: Stage) -> None:
    """Do nothing to the cluster."""


async def roll_workers(stage: Stage) -> None:
    """Replace the workers by new ones, one program after another."""
    for number, old in enumerate(stage.workers):
        new = stage.new_worker()
        await asyncio.to_thread(wait_for_worker, new)
        await asyncio.to_thread(old.stop)
        stage.workers[number] = new


async def renew_workers(stage: Stage) -> None:
    """Let the supervisors renew their worker processes, as after a new release."""
    for program in stage.workers:
        ready = program.log.count(READY) + PROCESSES
        program.signal(signal.SIGHUP)
        await asyncio.to_thread(program.wait_for_lines, READY, ready)


async def kill_worker_processes(stage: Stage) -> None:
    """Kill one worker process under each supervisor."""
    for program in stage.workers:
        ready = program.log.count(READY) + 1
        _kill(last_worker_process(program))
        await asyncio.to_thread(program.wait_for_lines, READY, ready)


async def kill_supervisor(stage: Stage) -> None:
    """Kill a whole worker program, so that no supervisor can report the dead processes."""
    stage.workers[0].kill()
    await asyncio.sleep(1)
    stage.workers[0] = stage.new_worker()
    await asyncio.to_thread(wait_for_worker, stage.workers[0])


async def stop_all_workers(stage: Stage) -> None:
    """Restart the workers with a gap of five seconds without any."""
    await asyncio.gather(*(asyncio.to_thread(program.stop) for program in stage.workers))
    await asyncio.sleep(5)
    stage.workers[:] = [stage.new_worker() for _ in stage.workers]
    for program in stage.workers:
        await asyncio.to_thread(wait_for_worker, program)


async def stop_interface(stage: Stage) -> None:
    """Stop an interface server properly, and start it again on its port."""
    await asyncio.to_thread(stage.interfaces[0].stop)
    stage.interfaces[0] = stage.new_interface(stage.ports[0])
    await asyncio.to_thread(wait_for_interface, stage.interfaces[0])


async def kill_interface(stage: Stage) -> None:
    """Kill an interface server, and start it again on its port."""
    stage.interfaces[-1].kill()
    await asyncio.sleep(1)
    stage.interfaces[-1] = stage.new_interface(stage.ports[-1])
    await asyncio.to_thread(wait_for_interface, stage.interfaces[-1])


async def pause_redis(stage: Stage) -> None:
    """Make Redis hang for a second, which is too short for the sentinels to act."""
    master = stage.redis.program(stage.redis.master)
    master.signal(signal.SIGSTOP)
    await asyncio.sleep(1)
    master.signal(signal.SIGCONT)


async def restart_redis(stage: Stage) -> None:
    """Restart Redis with the data that it has on disk, before the sentinels act."""
    name = stage.redis.master
    await asyncio.to_thread(stage.redis.program(name).stop)
    await asyncio.to_thread(stage.redis.start_server, name)


async def kill_redis(stage: Stage) -> None:
    """Kill the master. The sentinels promote the replica, and the dead one comes back as its replica."""
    name = stage.redis.master
    stage.redis.program(name).kill()
    await asyncio.to_thread(stage.redis.wait_for_another_master, name)
    await asyncio.to_thread(stage.redis.start_server, name)


def acts(small: bool = False) -> list[Act]:
    """The acts in order.

    Arguments:
        small: whether to take only the shortest ones, for every day.
    """
    # A thread that is killed may have just started its message, or may not have answered it yet.
    threads = PROCESSES * THREADS
    killed = Limits(lost=threads, unanswered=threads, longest=15, failed_pages=threads)
    show = [
        Act("Nothing happens", "Every frame is run and answered.", Limits(), nothing),
        Act(
            "New workers, old ones stopped",
            "Nothing is lost, no socket ends, nobody waits.",
            Limits(),
            roll_workers,
        ),
        Act("Supervisors renew their workers (SIGHUP)", "The same.", Limits(), renew_workers),
        Act(
            "Worker processes killed",
            "Lost is at most what ran: one frame for each thread. The next frame of its socket runs within 15 s.",
            killed,
            kill_worker_processes,
        ),
        Act(
            "A supervisor and its workers killed",
            "The same, though nobody is left to tell.",
            killed,
            kill_supervisor,
        ),
        Act(
            "No workers for five seconds",
            "Sockets stay, frames and pages wait, all are run.",
            Limits(longest=15),
            stop_all_workers,
        ),
        Act(
            "An interface server stopped and started",
            "Its sockets are closed in order (1012), what they sent before is run.",
            Limits(closes=True, longest=5),
            stop_interface,
        ),
        Act(
            "An interface server killed and started",
            "Its sockets end. Workers hear of each once (1006), within 15 s. Nobody else notices.",
            Limits(dropped=None, failed_pages=IN_FLIGHT),
            kill_interface,
        ),
        Act(
            "Redis hangs for a second",
            "Sockets stay, nothing is lost.",
            Limits(longest=5, failed_pages=None),
            pause_redis,
        ),
        Act(
            "Redis restarted",
            "Sockets stay, and go on within 1.5 s.",
            Limits(unanswered=LAST_MOMENT, longest=8, failed_pages=None),
            restart_redis,
        ),
        Act(
            "Redis killed, its replica takes over",
            "Sockets stay. What the replica did not have yet may be lost: its last moment.",
            Limits(lost=LAST_MOMENT, unanswered=LAST_MOMENT, longest=15, failed_pages=None),
            kill_redis,
        ),
    ]
    if small:
        chosen = {nothing, kill_worker_processes, kill_interface, pause_redis}
        show = [act for act in show if act.play in chosen]
    return show


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
