"""The statistics that the layer keeps in Redis."""

from __future__ import annotations

from channels_classic.layers import names
from channels_classic.layers.redis.connections.steps import Command, Steps, Trips
from channels_classic.layers.redis.envelope import time_of_expiry
from channels_classic.layers.redis.keys import ServerKeys
from channels_classic.layers.redis.placement import Placement

COUNTS = ("messages_count", "channel_full_count")


class Statistics:
    """Adds up the counters of the servers.

    Arguments:
        keys: the keys of the layer, for each server.
        placement: knows the servers of the queues.
        expiry: seconds that a message lives.
    """

    def __init__(self, keys: ServerKeys, placement: Placement, expiry: float) -> None:
        self._keys = keys
        self._placement = placement
        self._expiry = expiry

    def totals(self) -> Steps[dict[str, int]]:
        """The statistics over all queues."""
        trips = Trips()
        for server in range(self._placement.count):
            trips.add(server, _counts(self._keys[server].totals))
        answers = yield trips
        return {
            name: sum(int(of_server[0][number] or 0) for of_server in answers.values())
            for number, name in enumerate(COUNTS)
        }

    def of_channel(self, channel: str) -> Steps[dict[str, float]]:
        """The statistics of the queue of one channel."""
        queue = names.queue_name(channel)
        trips = Trips()
        for server in self._placement.of_channels([queue]):
            keys = self._keys[server]
            trips.add(server, _counts(keys.statistics(queue)), ("pending", 1, keys.queue(queue)))
        answers = yield trips
        statistics: dict[str, float] = dict.fromkeys((*COUNTS, "messages_pending", "messages_max_age"), 0)
        for counts, (now, pending, oldest) in answers.values():
            for name, count in zip(COUNTS, counts, strict=True):
                statistics[name] += int(count or 0)
            statistics["messages_pending"] += pending
            if expires := time_of_expiry(oldest):
                age = (int(now) - expires) / 1_000_000 + self._expiry
                statistics["messages_max_age"] = max(statistics["messages_max_age"], age)
        return statistics


def _counts(key: str) -> Command:
    return ("HMGET", key, *COUNTS)
