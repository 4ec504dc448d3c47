"""``Heartbeat``: sends the heartbeats of this process, and sweeps dead processes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from channels_classic.layers import BaseChannelLayer, LayerUnavailable
from channels_classic.layers.tracking import BEAT_SECONDS
from channels_classic.layers.types import Process
from channels_classic.log import logger
from channels_classic.processes.heartbeat import MARGIN, Absence, Sweeper, with_numbers

MOST_BEATS = 8
"""How many heartbeats may wait for a slow layer at the same time. One after another, they would come too
seldom."""


class Heartbeat:
    """The heartbeat of this process in a layer with the extension "processes".

    Arguments:
        layer: the channel layer with the registry.
        process: this process. The first heartbeat registers it.
        on_lapse: called when the layer has declared the process dead, and has sent the wills of its sockets. It
            ends all clients, and gives the process another name.
    """

    def __init__(self, layer: BaseChannelLayer, process: Process, on_lapse: Callable[[], Process]) -> None:
        self._layer = layer
        self._on_lapse = on_lapse
        self._loop = asyncio.get_running_loop()
        self._sweeper = Sweeper(layer)
        self._absence = Absence(lambda: layer.life)
        self._trusted_until = 0.0
        self.process = process
        """The process under its present name."""

    @property
    def is_trusted(self) -> bool:
        """Whether it is certain that nobody has declared this process dead. If not, ``beat`` comes first."""
        return self._loop.time() < self._trusted_until

    async def run(self) -> None:
        """Send heartbeats until cancelled."""
        beats = set[asyncio.Task[None]]()
        try:
            while True:
                if len(beats) < MOST_BEATS:
                    beats.add(self._loop.create_task(self._try_to_beat()))
                await asyncio.sleep(BEAT_SECONDS)
                for task in [task for task in beats if task.done()]:
                    beats.discard(task)
                    task.result()
        finally:
            for task in beats:
                task.cancel()

    async def beat(self) -> None:
        """Send one heartbeat. If the process was declared dead, it has another name and no clients afterwards.

        Raises:
            LayerUnavailable: the layer does not answer.
        """
        process, began = self.process, self._loop.time()
        beat = await self._layer.abeat(with_numbers(process, groups=self._layer.group_sizes()._asdict()))
        if process is not self.process:
            return  # another heartbeat has already learnt that it was declared dead
        if beat.lapsed:
            self.process = self._on_lapse()
            logger.error(
                "%s was declared dead, because its heartbeat had stopped for too long. Its clients were "
                "disconnected, and it goes on as %s. Was it stopped, or the machine asleep?",
                process.name,
                self.process.name,
            )
            await self.beat()
            return
        self._trusted_until = max(self._trusted_until, began + self._layer.life - MARGIN)
        can_judge = self._absence.can_judge(self._loop.time())
        if can_judge and not self._layer.local_only:  # inside one process nobody else can be dead
            for dead in beat.dead:
                self._sweeper.begin(dead)

    async def depart(self) -> None:
        """Leave the registry, because the process ends normally. If that fails, others sweep it."""
        try:
            await self._layer.adepart(self.process)
        except LayerUnavailable as error:
            logger.debug("%s stays in the registry until it is swept: %s", self.process.name, error)

    async def _try_to_beat(self) -> None:
        try:
            await self.beat()
        except LayerUnavailable as error:
            logger.debug("No heartbeat for now: %s", error)
