"""The channels that a worker receives from."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable

from channels_classic.layers.redelivery import GOODBYE_CHANNEL, LOST_GOODBYE_CHANNEL
from channels_classic.routing import Router


class ChannelFilters:
    """Leaves some of the channels of a routing to other workers.

    Arguments:
        only: globs. If there are any, channels that match none of them are left out.
        exclude: globs. Channels that match one of them are left out.
    """

    def __init__(self, only: Iterable[str] | None, exclude: Iterable[str] | None) -> None:
        self._only = list(only or ())
        self._exclude = list(exclude or ())

    def apply(self, channels: Iterable[str]) -> list[str]:
        """The channels that are not left out."""
        return [
            channel
            for channel in channels
            if (not self._only or _matches(self._only, channel)) and not _matches(self._exclude, channel)
        ]


def _matches(patterns: list[str], channel: str) -> bool:
    return any(fnmatch.fnmatchcase(channel, pattern) for pattern in patterns)


class ReceivedChannels:
    """The channels that a worker receives from, computed once per router.

    Arguments:
        filters: applied to the channels of the routing.
    """

    def __init__(self, filters: ChannelFilters) -> None:
        self._filters = filters
        self._router: Router | None = None
        self._names: list[str] = []

    def without(self, closed: frozenset[str], router: Router, wake_channel: str) -> list[str]:
        """The channels, without ``closed`` ones, from which nothing may be taken now."""
        names = self.names(router, wake_channel)
        return [name for name in names if name not in closed] if closed else names

    def names(self, router: Router, wake_channel: str) -> list[str]:
        """The channels of the routing, with the one of lost goodbyes, and the one that wakes the worker."""
        if router is not self._router or self._names[-1] != wake_channel:
            self._router = router
            names = self._filters.apply(sorted(router.channels))
            lost = [LOST_GOODBYE_CHANNEL] if GOODBYE_CHANNEL in names else []
            self._names = [*names, *lost, wake_channel]
        return self._names
