"""The oldest dialect: consumers that a decorator registers, and that take a message apart into keywords."""

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
"""Channels by the names that the dialect has for them."""

Function = TypeVar("Function", bound=Callable[..., Any])

_registered: dict[tuple[str, str], Callable[..., Any]] = {}


def install() -> None:
    """Give ``Channel``, requests and responses what the dialect expects of them."""
    Channel.consumer = staticmethod(register)  # type: ignore[attr-defined]
    HttpRequest.channel_encode = encoding.encode_request  # type: ignore[attr-defined]
    HttpRequest.channel_decode = staticmethod(encoding.decode_request)  # type: ignore[attr-defined]
    HttpResponseBase.channel_encode = encoding.encode_response  # type: ignore[attr-defined]
    HttpResponseBase.channel_decode = staticmethod(encoding.decode_response)  # type: ignore[attr-defined]


def discover() -> None:
    """Import the module ``consumers`` of each installed app: nothing else may name what is registered there."""
    autodiscover_modules("consumers")


def register(*channels: str, alias: str = DEFAULT_CHANNEL_LAYER) -> Callable[[Function], Function]:
    """``@Channel.consumer("django.wsgi.request", …)``: let a function handle the messages of these channels.

    It goes before the routing of the layer. The function gets the keys of the message as keyword arguments, and
    as ``response_channel`` the name of the reply channel; of those that it does not take, none.

    Arguments:
        alias: which of ``settings.CHANNEL_LAYERS`` the channels are on.

    Raises:
        TypeError: no channel name, or a bad one.
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

    return consumer


def _describe(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{function.__qualname__}"
