"""The Lua scripts of the layer. Everything in Redis that has to be atomic and takes several commands is here."""

from __future__ import annotations

from pathlib import Path

NAMES = (
    "send",
    "receive",
    "read",
    "give_back",
    "peek",
    "pending",
    "group_add",
    "group_discard",
    "group_renew",
    "group_routes",
    "turns",
    "take",
    "acknowledge",
    "settle",
    "beat",
    "claim",
    "goodbye",
    "register",
    "group_end",
    "letter_keep",
    "letter_end",
    "fenced",
)
BEGINNINGS = {"receive": "hand_out", "read": "hand_out", "take": "hand_out"}
"""Files with functions that scripts share, and begin with."""


def _source(name: str) -> bytes:
    files = (BEGINNINGS[name], name) if name in BEGINNINGS else (name,)
    return b"".join((Path(__file__).parent / f"{file}.lua").read_bytes() for file in files)


SCRIPTS = {name: _source(name) for name in NAMES}
