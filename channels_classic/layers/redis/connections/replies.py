"""Translates errors of Redis and of its connections into exceptions with texts for people."""

from __future__ import annotations

import re
from typing import NamedTuple

from redis import exceptions
from redis.exceptions import AuthenticationError, NoPermissionError, NoScriptError, ResponseError

from channels_classic.layers.exceptions import LayerUnavailable
from channels_classic.layers.redis.connections.advice import why


class OtherServer(LayerUnavailable):
    """The server is no longer the right one. The address has to be looked up, or the sentinels asked, again."""


class BrokenOff(LayerUnavailable):
    """The server refused a command in the middle of a script, which must not run again as a whole."""


class _Meaning(NamedTuple):
    text: str
    other_server: bool = False


MEANINGS = {
    "READONLY": _Meaning(
        "is a replica, and takes no writes. If it was the master until now, the layer follows to the new one as "
        "soon as its address, or the sentinels, lead there.",
        other_server=True,
    ),
    "MASTERDOWN": _Meaning("is a replica that has lost its master.", other_server=True),
    "UNBLOCKED": _Meaning("has ended a wait, because it is not a master any more.", other_server=True),
    "LOADING": _Meaning("is loading its data, and serves when it is done."),
    "MISCONF": _Meaning(
        "cannot save its data to the disk, and takes no writes until it can. Its log tells why. If its data need "
        "not be saved, set stop-writes-on-bgsave-error to no."
    ),
    "NOREPLICAS": _Meaning(
        "has fewer replicas than min-replicas-to-write demands, and takes no writes until then."
    ),
    "OOM": _Meaning(
        "is full: its memory has reached maxmemory, and it takes nothing more. Raise maxmemory, or find out what "
        "fills it; messages wait in it if workers are too few."
    ),
    "BUSY": _Meaning("is busy with somebody's script. If that does not end, SCRIPT KILL ends it."),
    "CLUSTERDOWN": _Meaning("belongs to a cluster that is down."),
    "TRYAGAIN": _Meaning("belongs to a cluster that is moving these keys to another server."),
    "CROSSSLOT": _Meaning(
        "belongs to a cluster, where all keys of a command have to be in one slot. Give prefix and stats_prefix "
        "the same hash tag, as in '{asgi}:' and '{asgi}meta:'."
    ),
    "MOVED": _Meaning(
        "belongs to a cluster, and another server of it has these keys. Put that one into hosts. With several "
        "hosts, make prefix and stats_prefix lists: each host needs a hash tag whose slot it has."
    ),
    "ASK": _Meaning("belongs to a cluster that is moving these keys to another server."),
}
"""Errors with which a server refuses a command before it does anything.

Each of them comes in place of a command, or of the first write of a script. What they depend on does not change
while a script runs, and a full Redis refuses a script only at its first write. So nothing was done.
"""

# redis-py strips the code from the errors that it has a class for.
_CODES = {
    getattr(exceptions, name): code
    for name, code in {
        "ReadOnlyError": "READONLY",
        "MasterDownError": "MASTERDOWN",
        "BusyLoadingError": "LOADING",
        "OutOfMemoryError": "OOM",
        "ClusterDownError": "CLUSTERDOWN",
        "TryAgainError": "TRYAGAIN",
        "ClusterCrossSlotError": "CROSSSLOT",
        "MovedError": "MOVED",
        "AskError": "ASK",
    }.items()
    if hasattr(exceptions, name)
}
# A command that is denied inside a script gives an ordinary error, with a text that depends on the version of
# Redis.
_NOT_ALLOWED = re.compile(
    r"user executing the script can't|ACL failure in script|has no permissions to", re.IGNORECASE
)
# Up to Redis 6.2, the error of a script has its cause in the middle of its text.
_CODE = re.compile(rf"(?:^|: -)({'|'.join(MEANINGS)})\b")


_KINDS: dict[str, type[Exception]] = {
    "NOSCRIPT": NoScriptError,
    "NOPERM": NoPermissionError,
    "NOAUTH": AuthenticationError,
}


def error_of(text: str) -> Exception:
    """Make redis-py's exception for the text of an error that a server has answered."""
    return _KINDS.get(text.partition(" ")[0], ResponseError)(text)


def refusal(server: str, error: BaseException) -> LayerUnavailable:
    """Translate the error of a command that a server refused.

    Arguments:
        server: its name, for people.
    """
    if isinstance(error, AuthenticationError):
        return unreachable(server, error)
    code = _code_of(error)
    if code is None:
        hint = ""
        if "WRONGTYPE" in str(error):
            hint = " Does another program use keys with the same prefix? Set another one."
        elif isinstance(error, NoPermissionError) or _NOT_ALLOWED.search(str(error)):
            hint = (
                " Its ACL keeps the user in hosts from what the layer needs: the keys that begin with the layer's "
                "prefixes, and +@read +@write +@scripting +@connection +time +info."
            )
        failure: LayerUnavailable = BrokenOff(f"Redis at {server} refused a command: {error}.{hint}")
    else:
        meaning = MEANINGS[code]
        kind = OtherServer if meaning.other_server else LayerUnavailable
        failure = kind(f"Redis at {server} {meaning.text}", nothing_done=True)
    failure.__cause__ = error
    return failure


def unreachable(server: str, error: BaseException) -> LayerUnavailable:
    """Translate an error while connecting to a server."""
    if isinstance(error, LayerUnavailable):
        return error
    if (code := _code_of(error)) is not None:
        failure = LayerUnavailable(f"Redis at {server} {MEANINGS[code].text}", nothing_done=True)
    else:
        failure = LayerUnavailable(f"Cannot connect to Redis at {server}: {why(error)}", nothing_done=True)
    failure.__cause__ = error
    return failure


def broken(server: str, error: BaseException, seconds: float) -> LayerUnavailable:
    """Translate an error on a connection that was open.

    Arguments:
        server: its name, for people.
        seconds: the time that the server had for its answer.
    """
    if isinstance(error, LayerUnavailable):
        return error
    if isinstance(error, AuthenticationError):
        return unreachable(server, error)
    if _code_of(error) is not None:
        return refusal(server, error)
    # redis-py raises this instead of READONLY for a server that sentinels have named.
    if isinstance(error.__context__, exceptions.ReadOnlyError):
        return refusal(server, error.__context__)
    if isinstance(error, (TimeoutError, exceptions.TimeoutError)):
        failure: LayerUnavailable = OtherServer(f"Redis at {server} did not answer within {seconds:g} s.")
    else:
        failure = LayerUnavailable(f"The connection to Redis at {server} broke: {error or type(error).__name__}")
    failure.__cause__ = error
    return failure


def _code_of(error: BaseException) -> str | None:
    for kind, code in _CODES.items():
        if isinstance(error, kind):
            return code
    if not isinstance(error, ResponseError):
        return None
    found = _CODE.search(str(error))
    return found[1] if found else None
