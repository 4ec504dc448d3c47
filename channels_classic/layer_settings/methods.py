"""Checks the methods that a layer class of a project overrides."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from channels_classic.layers import BaseChannelLayer
from channels_classic.layers.contract import LayerContract


def misfits(layer_class: type[BaseChannelLayer]) -> Iterator[str]:
    """A text for each method that does not accept the calls of the contract, but only those of an older version.

    Without this check, the first message would fail.
    """
    for name, method in inspect.getmembers(LayerContract, inspect.isfunction):
        own = getattr(layer_class, name)
        if not name.startswith("_") and inspect.isfunction(own) and (missing := _missing(own, method)):
            yield (
                f"{own.__module__}.{own.__qualname__} must also take {', '.join(missing)}. The call is now "
                f"{name}{_parameters(method)}, and the method has to pass all of it on to that of its base class."
            )


def _parameters(method: Callable[..., Any]) -> str:
    """The parameters of a method as a text, without ``self`` and annotations."""
    signature = inspect.signature(method)
    bare = [one.replace(annotation=one.empty) for one in signature.parameters.values()]
    return str(signature.replace(parameters=bare[1:], return_annotation=signature.empty))


def _missing(own: Callable[..., Any], method: Callable[..., Any]) -> list[str]:
    """The parameters of ``method`` that ``own`` does not accept."""
    expected = list(inspect.signature(method).parameters.values())
    parameters = list(inspect.signature(own).parameters.values())
    kinds = {parameter.kind for parameter in parameters}
    names = {parameter.name for parameter in parameters}
    positional = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    missing = []
    for place, parameter in enumerate(expected):
        if parameter.kind is parameter.KEYWORD_ONLY:
            fits = parameter.name in names or parameter.VAR_KEYWORD in kinds
        else:
            fits = place < len(positional) or parameter.VAR_POSITIONAL in kinds
        if not fits:
            missing.append(parameter.name)
    return missing
