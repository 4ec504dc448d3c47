"""The rules for rooms, names and messages. Browsers know them, but the server checks them again."""

import re
import unicodedata

MAX_TEXT_LENGTH = 2000
MAX_NAME_LENGTH = 30
ROOM_RULE = (
    "A room name has up to 50 letters (a to z), digits, hyphens, underscores and dots, "
    "and starts with a letter or a digit."
)

ROOM_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,49}")


PRIVATE = "_"  # the key of a private room begins with this, and no name of a public room does


class RuleError(ValueError):
    """A visitor did something that the chat does not allow. The text is for the visitor."""

    about = "message"  # the field beside which the browser shows the text


class NameTakenError(RuleError):
    about = "name"


def is_room_name(name: str) -> bool:
    """Whether a public room may have this name."""
    return ROOM_NAME.fullmatch(name) is not None


def clean_name(value: object, limit: int = MAX_NAME_LENGTH, default: str = "guest") -> str:
    """A display name: one line, never empty, and short enough for the list of people."""
    name = " ".join(_storable(value).split())
    return name[:limit].strip() or default


def like_user_name(name: str) -> str:
    """A display name in the form of a user name, without invisible characters and lookalikes."""
    visible = (c for c in unicodedata.normalize("NFKC", name) if unicodedata.category(c) != "Cf" and c != " ")
    return "".join(visible)


def clean_text(value: object) -> str:
    """The text of a message. Raises RuleError if it is empty or too long."""
    text = re.sub(r"\n{3,}", "\n\n", _storable(value).strip())
    if not text:
        raise RuleError("An empty message was not sent.")
    if len(text) > MAX_TEXT_LENGTH:
        raise RuleError(f"A message has at most {MAX_TEXT_LENGTH:,} characters; this one has {len(text):,}.")
    return text


def _storable(value: object) -> str:
    """Drops characters that JSON has and a database cannot store: control characters and lone surrogates."""
    if not isinstance(value, str):
        return ""
    return "".join(c for c in value if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))
