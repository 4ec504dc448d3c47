"""Sending over Redis: values into the queues of the servers they belong on."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from channels_classic.layers.base import Delivery
from channels_classic.layers.exceptions import LayerUnavailable
from channels_classic.layers.redis.core import RedisCore, Steps, change, is_spread
from channels_classic.layers.redis.envelope import GROUP_MESSAGE, MESSAGE
from channels_classic.layers.redis.servers import Command

STATISTICS_SECONDS = 86400
"""How long the statistics of a process's queue stay after the last message to it."""


class Push(NamedTuple):
    """One value for one queue."""

    position: int | None
    channel: str
    body: bytes
    life: float
    limited: bool = True


class Sending(RedisCore):
    """The part of ``RedisChannelLayer`` that sends."""

    def _pushes(self, deliveries: Sequence[Delivery], routes: Mapping[str, list[str]]) -> list[Push]:
        pushes = []
        for position, delivery in enumerate(deliveries):
            if delivery.turn_end is not None:
                continue
            if not delivery.to_group:
                pushes.append(Push(position, delivery.name, delivery.payload, self.expiry))
                continue
            bodies: dict[bool, bytes] = {}
            for route in routes[delivery.name]:
                of_process = route.endswith("!")
                if of_process not in bodies:
                    kind, name = (GROUP_MESSAGE, delivery.name) if of_process else (MESSAGE, "")
                    bodies[of_process] = self._seal(kind, name, delivery.payload)
                pushes.append(Push(None, route, bodies[of_process], self.expiry))
        return pushes

    def _send_to_several(self, pushes: Sequence[Push]) -> Steps[list[int]]:
        """Send to whichever server each push belongs on; the positions of those that found their channel full.

        A normal channel has its share of the capacity on each server. All that one batch has for it goes to one
        server, so that it arrives in order, and to the next one when that is full.
        """
        full: list[int] = []
        start = random.randrange(len(self._servers))
        for attempt in range(len(self._servers)):
            last = attempt == len(self._servers) - 1
            by_server: dict[int, list[Push]] = defaultdict(list)
            for push in pushes:
                by_server[self._home(push.channel, start + attempt)].append(push)
            try:
                answers = yield from change(
                    {server: [self._send_command(some, server, last)] for server, some in by_server.items()}
                )
            except LayerUnavailable as error:
                error.nothing_done = error.nothing_done and attempt == 0
                raise
            refused = [some[number] for server, some in by_server.items() for number in answers[server][0][0]]
            spread = [push for push in refused if is_spread(push.channel)]
            full += [push.position for push in refused if push not in spread and push.position is not None]
            pushes = spread
            if not pushes:
                break
        full += [push.position for push in pushes if push.position is not None]
        return sorted(full)

    def _send_command(
        self,
        pushes: Sequence[Push],
        server: int = 0,
        last: bool = True,
        remembered: Mapping[str, Sequence[str]] | None = None,
    ) -> Command:
        """The command for one server.

        Arguments:
            last: whether no other server will be asked for what this one refuses.
            remembered: groups and their routes; if these are not right any more, nothing is to be sent.
        """
        remembered = remembered or {}
        keys: dict[str, int] = {}
        arguments: list[Any] = [STATISTICS_SECONDS, len(remembered)]
        for routes in remembered.values():
            arguments += [len(routes), *routes]
        run: tuple[str, float, bool] | None = None
        count_at = 0
        for push in pushes:
            process, mark, local = push.channel.partition("!")
            queue = process + mark
            if run != (queue, push.life, push.limited):
                run = (queue, push.life, push.limited)
                number = keys.setdefault(queue, len(keys) + 1)
                capacity = self._share_of_capacity(push.channel, server) if push.limited else -1
                refusals_count = int(last or not is_spread(queue))
                count_at = len(arguments) + 4
                arguments += [number, capacity, int(push.life * 1_000_000), refusals_count, 0]
            arguments[count_at] += 1
            arguments.append(local)
            arguments.append(push.body)
        all_keys = [self._routes_key(group) for group in remembered]
        for queue in keys:
            all_keys += [self.prefix + queue, self._paused_key(queue), self._statistics_key(queue)]
        return ("send", len(all_keys) + 1, *all_keys, self.stats_prefix, *arguments)

    def _share_of_capacity(self, channel: str, server: int) -> int:
        capacity = self.capacity_of(channel)
        if len(self._servers) == 1 or not is_spread(channel):
            return capacity
        share, rest = divmod(capacity, len(self._servers))
        return share + (server < rest)


def positions(pushes: Sequence[Push], numbers: Iterable[int]) -> list[int]:
    """The positions in the batch of those ``pushes`` that have these numbers; those to groups have none."""
    return [position for number in numbers if (position := pushes[number].position) is not None]
