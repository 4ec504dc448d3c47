"""The frames on the socket: JSON objects with a "type".

From the browser   here (name): I am in the room; every 30 seconds, and when the name changes
                   message (name, text)
To the browser     history (messages), message (id, author, guest, text, created), presence (people, at),
                   rooms (rooms, at), error (text, about: the field it is about, name or message)

The name is the one that a guest chooses. The server knows the names of users.
"""

import json
from typing import Any

from .rules import RuleError

NOT_ANY_MORE = 4403
"""The close code for visitors who were removed or logged out: the browser reloads the page."""


def frame(type: str, **content: Any) -> dict[str, Any]:
    """A message for a reply channel or a group that arrives in the browser as one frame."""
    return {"text": json.dumps({"type": type, **content}, ensure_ascii=False)}


def parse_frame(text: str | None) -> dict[str, Any]:
    """The frame a browser sent (None: it sent bytes). Raises RuleError if it is none of ours."""
    try:
        content = json.loads(text or "")
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise RuleError('A frame is a JSON object such as {"type": "message", "text": "Hello"}.')
    if content.get("type") not in ("here", "message"):
        raise RuleError('The type of a frame is "here" or "message".')
    return content
