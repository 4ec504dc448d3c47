"""What rooms, names and messages may look like. Browsers are told, and not trusted."""

import re
import unicodedata

MAX_TEXT_LENGTH = 2000
MAX_NAME_LENGTH = 30
ROOM_RULE = (
    "A room name has up to 50 letters (a to z), digits, hyphens, underscores and dots, "
    "and starts with a letter or a digit."
)

ROOM_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,49}")


class RuleError(ValueError):
    """A visitor did something that the chat does not allow; the text of the error is meant for them."""


def is_room_name(name: str) -> bool:
    return ROOM_NAME.fullmatch(name) is not None


def clean_name(value: object) -> str:
    """A visitor's display name: one line, never empty, and short enough for the list of people."""
    name = " ".join(_storable(value).split())
    return name[:MAX_NAME_LENGTH].strip() or "guest"


def clean_text(value: object) -> str:
    """The text of a message. Raises RuleError if it is empty or too long."""
    text = re.sub(r"\n{3,}", "\n\n", _storable(value).strip())
    if not text:
        raise RuleError("An empty message was not sent.")
    if len(text) > MAX_TEXT_LENGTH:
        raise RuleError(f"A message has at most {MAX_TEXT_LENGTH:,} characters; this one has {len(text):,}.")
    return text


def _storable(value: object) -> str:
    """Drops what JSON can carry and a database cannot store: control characters and half surrogate pairs."""
    if not isinstance(value, str):
        return ""
    return "".join(c for c in value if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))
