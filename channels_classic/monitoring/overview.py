"""An overview of a channel layer for people, made of two views, because rates need two."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from channels_classic.layers import Process
from channels_classic.layers.group_sizes import NO_GROUPS, GroupSizes
from channels_classic.monitoring.layer_view import View

Overview = dict[str, Any]
"""A dict for JSON with ``sockets``, ``dead_letters``, ``group_count``, ``memberships``, and the tables
``processes``, ``channels``, ``consumers``, ``errors`` and ``groups``. Times are in seconds."""

GROUPS_SHOWN = 20
"""The number of groups in the table, the largest ones."""

ERRORS_SHOWN_SECONDS = 600
"""Seconds for which errors are shown."""


def overview(now: View, before: View, seconds: float) -> Overview:
    """Make an overview of what is there now, and how fast it changes.

    Arguments:
        before: an earlier view.
        seconds: the time between the two, for values without a time of their own.
    """
    earlier = {process.name: _numbers(process) for process in before.processes}
    processes = [_process(process, earlier.get(process.name, {})) for process in now.processes]
    channels = [
        {
            "channel": channel,
            "waiting": int(statistics["messages_pending"]),
            "oldest": round(statistics["messages_max_age"], 1),
            "per_second": _rate(statistics, before.channels.get(channel, {}), "messages_count", seconds),
            "full": int(statistics["channel_full_count"]),
        }
        for channel, statistics in now.channels.items()
    ]
    return {
        **_groups(now),
        "sockets": sum(process["sockets"] for process in processes),
        "dead_letters": now.dead_letters,
        "processes": sorted(processes, key=lambda process: (process["kind"], process["host"], process["pid"])),
        "channels": sorted(channels, key=lambda channel: channel["channel"]),
        "consumers": _consumers(now),
        "errors": _errors(now),
    }


def _numbers(process: Process) -> Mapping[str, Any]:
    numbers = process.details.get("numbers")
    return numbers if isinstance(numbers, Mapping) else {}


def _group_sizes(process: Process) -> GroupSizes:
    sizes = process.details.get("groups")
    if not isinstance(sizes, Mapping):
        return NO_GROUPS
    # A process of another version may publish more or fewer fields.
    return NO_GROUPS._replace(**{field: sizes[field] for field in GroupSizes._fields if field in sizes})


def _each_once(view: View) -> Iterable[Process]:
    """The processes, each once. Under ``runserver``, a process has two parts with entries of their own."""
    return {(each.details.get("host_id"), each.details.get("pid")): each for each in view.processes}.values()


def _process(process: Process, earlier: Mapping[str, Any]) -> dict[str, Any]:
    details, numbers = process.details, _numbers(process)
    seconds = numbers.get("at", 0) - earlier.get("at", 0) if earlier else 0
    return {
        "name": process.name,
        "kind": str(details.get("kind", "")),
        "host": str(details.get("host", "")),
        "pid": details.get("pid", 0),
        "version": str(details.get("version", "")),
        "age": round(max(0.0, time.time() - details.get("started", time.time()))),
        "sockets": numbers.get("sockets", 0) if details.get("kind") == "interface" else 0,
        "received_per_second": _rate(numbers, earlier, "received", seconds),
        "sent_per_second": _rate(numbers, earlier, "sent", seconds),
        "full": numbers.get("full", 0),
    }


def _rate(now: Mapping[str, float], before: Mapping[str, float], name: str, seconds: float) -> float:
    if seconds <= 0 or name not in before:
        return 0.0
    return round(max(0.0, now.get(name, 0) - before[name]) / seconds, 1)


def _groups(view: View) -> Overview:
    """The largest groups over all processes, and how many there are.

    Each process publishes only its largest groups. So a group's number of members is a lower bound (``at_least``)
    if a process may have the group and has not published it. ``group_count`` is a lower bound too if several
    processes have more groups than they publish, because these may be the same. ``memberships`` is exact.
    """
    members: Counter[str] = Counter()
    processes: Counter[str] = Counter()
    all_sizes = [_group_sizes(process) for process in view.processes]
    for sizes in all_sizes:
        members.update(sizes.largest)
        processes.update(sizes.largest.keys())
    partial = [sizes.largest for sizes in all_sizes if sizes.groups > len(sizes.largest)]
    rows = [
        {
            "group": group,
            "members": count,
            "at_least": any(group not in largest for largest in partial),
            "processes": processes[group],
        }
        for group, count in members.most_common(GROUPS_SHOWN)
    ]
    return {
        "groups": rows,
        "group_count": max([len(members), *(sizes.groups for sizes in all_sizes)]),
        "memberships": sum(sizes.memberships for sizes in all_sizes),
    }


def _consumers(view: View) -> list[dict[str, Any]]:
    """The consumers that have taken the most time, over all processes."""
    total: dict[str, list[float]] = {}
    for process in _each_once(view):
        for name, counts in _numbers(process).get("consumers", {}).items():
            total[name] = [sum(pair) for pair in zip(total.get(name, [0, 0, 0]), counts, strict=True)]
    rows = [
        {
            "consumer": name,
            "calls": int(calls),
            "seconds": round(seconds, 3),
            "mean_milliseconds": round(seconds / calls * 1000, 1) if calls else 0.0,
            "errors": int(errors),
        }
        for name, (calls, seconds, errors) in total.items()
    ]
    return sorted(rows, key=lambda row: row["seconds"], reverse=True)


def _errors(view: View) -> list[dict[str, Any]]:
    """The last errors of consumers, the newest first."""
    since = time.time() - ERRORS_SHOWN_SECONDS
    rows = [
        {"time": when, "consumer": consumer, "error": kind, "process": process.name}
        for process in _each_once(view)
        for when, consumer, kind in _numbers(process).get("errors", [])
        if when >= since
    ]
    return sorted(rows, key=lambda row: row["time"], reverse=True)
