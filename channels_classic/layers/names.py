"""Channel and group names: the rules of the specification, section 2."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

MAX_LENGTH = 99

_CHARACTERS = r"[a-zA-Z0-9\-_.]"
_CHANNEL = re.compile(rf"{_CHARACTERS}+(?:\?{_CHARACTERS}+|!{_CHARACTERS}*)?").fullmatch
_RECEIVABLE = re.compile(rf"{_CHARACTERS}+(?:\?{_CHARACTERS}+|!)?").fullmatch
_GROUP = re.compile(rf"{_CHARACTERS}+").fullmatch
_PATTERN = re.compile(rf"{_CHARACTERS}+[?!]").fullmatch

_LETTERS = "ASCII letters, digits, '-', '_' and '.', fewer than 100 of them"


def check_channel(name: Any) -> None:
    """Check that a message can be sent to ``name``.

    Raises:
        TypeError: it is not; the text quotes the name and states the rule.
    """
    if not isinstance(name, str) or len(name) > MAX_LENGTH or not _CHANNEL(name):
        raise TypeError(
            f"A channel name must be a str of {_LETTERS}, with at most one '?' (and something behind it) "
            f"or '!', not {name!r}."
        )


def check_receivable(name: Any) -> None:
    """Check that messages can be received from ``name``.

    Raises:
        TypeError: it is not; the text quotes the name and states the rule.
    """
    if isinstance(name, str) and len(name) <= MAX_LENGTH and _RECEIVABLE(name):
        return
    check_channel(name)
    raise TypeError(
        f"A process-specific channel is received on its name up to and including the '!', not {name!r}."
    )


@lru_cache(maxsize=1024)
def _is_receivable(name: str) -> bool:
    return len(name) <= MAX_LENGTH and _RECEIVABLE(name) is not None


def check_all_receivable(channels: Sequence[str]) -> list[str]:
    """Check that messages can be received from each of ``channels``, and return them as a list.

    Raises:
        TypeError: one of them is not such a name, or ``channels`` is a single str.
    """
    if isinstance(channels, str):
        raise TypeError(f"receive takes a list of channel names, not the str {channels!r}.")
    channels = list(channels)
    for channel in channels:
        # Receivers ask for the same few channels again and again.
        if channel.__class__ is not str or not _is_receivable(channel):
            check_receivable(channel)
    return channels


def check_group(name: Any) -> None:
    """Check that ``name`` is a valid group name.

    Raises:
        TypeError: it is not; the text quotes the name and states the rule.
    """
    if not isinstance(name, str) or len(name) > MAX_LENGTH or not _GROUP(name):
        raise TypeError(f"A group name must be a str of {_LETTERS}, and no '?' or '!', not {name!r}.")


def new_channel_name(pattern: Any) -> str:
    """Make a name that nobody uses of ``pattern`` (which ends in ``?`` or ``!``) and a random part.

    Raises:
        TypeError: the pattern does not end so, or is not a channel name.
    """
    if not isinstance(pattern, str) or not _PATTERN(pattern):
        raise TypeError(
            f"The pattern of a new channel must be a channel name that ends in '?' or '!', not {pattern!r}."
        )
    name = pattern + random_part()
    check_channel(name)
    return name


_DIGITS = 16
_PARTS_AT_ONCE = 64
_random_parts: list[str] = []
"""Random parts that nobody has used. To ask the system for each one takes longer than all else about it."""

if hasattr(os, "register_at_fork"):
    # A child must not use the parts of its parent once more.
    os.register_at_fork(after_in_child=_random_parts.clear)


def random_part() -> str:
    """Sixteen hexadecimal digits that cannot be guessed: 64 random bits."""
    try:
        return _random_parts.pop()
    except IndexError:
        page = secrets.token_hex(_PARTS_AT_ONCE * _DIGITS // 2)
        _random_parts.extend(page[start : start + _DIGITS] for start in range(_DIGITS, len(page), _DIGITS))
        return page[:_DIGITS]


def queue_name(channel: str) -> str:
    """The queue of ``channel``: its part up to the ``!`` if it is process-specific, else the channel itself."""
    process, mark, _ = channel.partition("!")
    return process + mark


def process_name(channel: str) -> str:
    """The name of the process that a process-specific channel belongs to, without the ``!``; else ``""``."""
    process, mark, _ = channel.partition("!")
    return process if mark else ""


def local_part(channel: str) -> str:
    """The part of a process-specific channel's name after the ``!``; else ``""``."""
    return channel.partition("!")[2]


def is_normal(channel: str) -> bool:
    """Whether ``channel`` is a normal one, which any number of processes may receive on."""
    return "!" not in channel and "?" not in channel


def kind_name(channel: str) -> str:
    """The name under which ``channel`` is counted: up to and including the type mark, if there is one."""
    single, mark, _ = channel.partition("?")
    return single + mark if mark else queue_name(channel)
