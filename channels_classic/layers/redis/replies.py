"""What the errors of Redis and of its connections mean, told to people."""

from __future__ import annotations

from redis.exceptions import AuthenticationError, ResponseError

from channels_classic.layers.exceptions import LayerUnavailable


def refusal(server: str, error: ResponseError) -> LayerUnavailable:
    """What to make of a command that a server refused."""
    if "used memory > 'maxmemory'" in str(error):
        # A command does nothing then, and no more does a script that writes nothing before.
        failure = LayerUnavailable(
            f"Redis at {server} is full: its memory has reached maxmemory, and it takes nothing more. "
            "Raise maxmemory, or find out what fills it; messages wait in it if workers are too few.",
            nothing_done=True,
        )
    else:
        hint = ""
        if "WRONGTYPE" in str(error):
            hint = " Does another program use keys with the same prefix? Set another one."
        failure = LayerUnavailable(f"Redis at {server} refused a command: {error}.{hint}")
    failure.__cause__ = error
    return failure


def unreachable(server: str, error: BaseException) -> LayerUnavailable:
    """What to make of an error while connecting to a server."""
    if isinstance(error, LayerUnavailable):
        return error
    hint = ""
    if isinstance(error, (AuthenticationError, ResponseError)):
        hint = " Check user, password and database in hosts."
    return LayerUnavailable(f"Cannot connect to Redis at {server}: {error}{hint}", nothing_done=True)


def broken(server: str, error: BaseException) -> LayerUnavailable:
    """What to make of an error on a connection that was there."""
    if isinstance(error, LayerUnavailable):
        return error
    if isinstance(error, AuthenticationError):
        return unreachable(server, error)
    failure = LayerUnavailable(f"The connection to Redis at {server} broke: {error}")
    failure.__cause__ = error
    return failure
