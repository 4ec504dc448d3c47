"""The Lua scripts of the layer. Everything in Redis that has to be atomic and takes several commands is here."""

from __future__ import annotations

from pathlib import Path

NAMES = (
    "send",
    "receive",
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
SCRIPTS = {name: (Path(__file__).parent / f"{name}.lua").read_bytes() for name in NAMES}
