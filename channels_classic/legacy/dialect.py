"""Consumers from before Channels 1: a decorator registers them, and they get the keys of a message as keywords."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.module_loading import autodiscover_modules

from channels_classic import DEFAULT_CHANNEL_LAYER
from channels_classic.channel import Channel
from channels_classic.layers.names import check_channel
from channels_classic.legacy import encoding

OLD_CHANNELS = {"django.wsgi.request": "http.request"}
"""The old names of channels, and the current ones."""

Function = TypeVar("Function", bound=Callable[..., Any])

_registered: dict[tuple[str, str], Callable[..., Any]] = {}


def install() -> None:
    """Give ``Channel``, requests and responses the methods that such projects use."""
    Channel.consumer = staticmethod(register)  # type: ignore[attr-defined]
    HttpRequest.channel_encode = encoding.encode_request  # type: ignore[attr-defined]
    HttpRequest.channel_decode = staticmethod(encoding.decode_request)  # type: ignore[attr-defined]
    HttpResponseBase.channel_encode = encoding.encode_response  # type: ignore[attr-defined]
    HttpResponseBase.channel_decode = staticmethod(encoding.decode_response)  # type: ignore[attr-defined]


def discover() -> None:
    """Import the module ``consumers`` of each installed app, because the project may import it nowhere else."""
    autodiscover_modules("consumers")


def register(*channels: str, alias: str = DEFAULT_CHANNEL_LAYER) -> Callable[[Function], Function]:
    """``@Channel.consumer("django.wsgi.request", …)``: let a function handle the messages of these channels.

    It takes precedence over the routing of the layer. The function gets the keys of the message as keyword
    arguments, and the name of the reply channel as ``response_channel``. It gets only the keywords that it
    accepts.

    Arguments:
        alias: which of ``settings.CHANNEL_LAYERS`` the channels are on.

    Raises:
        TypeError: there is no channel name, or an invalid one.
        ValueError: another function handles one of them.
    """
    if not channels or callable(channels[0]):
        raise TypeError('Channel.consumer takes the names of channels: @Channel.consumer("http.request").')
    names = [OLD_CHANNELS.get(channel, channel) for channel in channels]
    for name in names:
        check_channel(name)

    def decorate(function: Function) -> Function:
        from channels_classic.asgi import channel_layers
        from channels_classic.routing import Route

        for name in names:
            other = _registered.setdefault((alias, name), function)
            if other is not function:
                raise ValueError(
                    f"Channel {name!r} can have one consumer only: {_describe(other)} has been registered for it, "
                    f"so {_describe(function)} cannot be."
                )
        channel_layers.route_first(Route(names, _taking_message(function)), alias)
        return function

    return decorate


def _taking_message(function: Callable[..., Any]) -> Callable[..., Any]:
    parameters = inspect.signature(function).parameters.values()
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    taken = {parameter.name for parameter in parameters}

    @wraps(function)
    def consumer(message: Any, **kwargs: Any) -> Any:
        keywords = {"channel": message.channel.name, **message.content, **kwargs}
        if message.reply_channel is not None:
            keywords["response_channel"] = message.reply_channel.name
        return function(**{name: value for name, value in keywords.items() if takes_all or name in taken})

    del consumer.__wrapped__  # whose signature has no message
    return consumer


def _describe(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{function.__qualname__}"
