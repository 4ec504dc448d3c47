"""JSON in text frames, and the answer to a frame that cannot be used (specification, section 10)."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from django.core.serializers.json import DjangoJSONEncoder

from channels_classic.exceptions import ChannelSocketException
from channels_classic.log import logger
from channels_classic.message import Message

__all__ = ["BadFrame", "decode", "encode"]

DEEPEST = 100
"""The most levels of arrays and objects in a frame: few enough to encode its content again anywhere."""


class BadFrame(ChannelSocketException, ValueError):
    """The client sent a frame that cannot be used.

    The client gets ``{"error": "…"}`` with the text of this exception. A warning is logged, and the socket stays
    open.
    """

    def run(self, message: Message) -> None:
        """Send the error to the client."""
        logger.warning("A frame for %s was refused: %s", message.get("path"), self)
        if message.reply_channel is not None:
            message.reply_channel.send({"text": encode({"error": str(self)})})


def encode(content: Any) -> str:
    """``content`` as JSON. Dates, times, UUIDs, decimals and lazy texts become strings, as in Django's JSON."""
    return _ENCODER.encode(content)


def decode(text: str) -> Any:
    """The decoded JSON of ``text``.

    Raises:
        ValueError: it is not JSON, as ``NaN`` and ``Infinity`` are not, or it is nested too deeply.
        RecursionError: it is nested far too deeply.
    """
    content = _DECODER.decode(text)
    if text.count("[") + text.count("{") > DEEPEST and _is_deeper(content, DEEPEST):
        raise ValueError(f"It is nested more than {DEEPEST} levels deep.")
    return content


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON.")


# Made once, because json.loads and json.dumps with these options make new ones for each frame.
_DECODER = json.JSONDecoder(parse_constant=_refuse)
_ENCODER = DjangoJSONEncoder()


def _is_deeper(content: Any, levels: int) -> bool:
    inside = [content]
    for _ in range(levels):
        lists = (
            node.values() if isinstance(node, dict) else node for node in inside if isinstance(node, (dict, list))
        )
        inside = [node for nodes in lists for node in nodes]
        if not inside:
            return False
    return True
