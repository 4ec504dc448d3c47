"""The code blocks of a document, in reStructuredText or in Markdown."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from itertools import takewhile
from textwrap import dedent

FENCE = re.compile(r"```(.*)")
LANGUAGE = re.compile(r"\s*\w*\s*")


def code_blocks(text: str) -> list[str]:
    """The code that a document tells its reader to type in, in order."""
    is_markdown = re.search(r"^(#+ |```)", text, re.MULTILINE)
    return [plain(block) for block in (markdown_blocks if is_markdown else literal_blocks)(text.splitlines())]


def literal_blocks(lines: list[str]) -> Iterator[str]:
    """What is indented below a line that ends in two colons; a directive (``.. note::``) holds no code."""
    for number, line in enumerate(lines, 1):
        if line.endswith("::") and not line.startswith((" ", "..")):
            yield "\n".join(takewhile(lambda line: not line or line.startswith(" "), lines[number:]))


def markdown_blocks(lines: list[str]) -> Iterator[str]:
    """What stands between fences, and what is indented by four columns outside of them."""
    rest = iter(lines)
    for line in rest:
        if fence := FENCE.match(line):
            # One author began with the code beside the fence, where others name its language.
            beside = [] if LANGUAGE.fullmatch(fence[1]) else [fence[1]]
            yield "\n".join([*beside, *takewhile(lambda line: not line.startswith("```"), rest)])
        elif line.startswith("    "):
            yield line


def plain(code: str) -> str:
    """Code without what the way of a document may add or take away: blank lines, and spaces around all of it."""
    lines = dedent(code).splitlines()
    return "\n".join(line.rstrip() for line in lines if line.strip())


def digest(code: str) -> str:
    """The digest that identifies a block."""
    return hashlib.sha256(plain(code).encode()).hexdigest()[:12]
