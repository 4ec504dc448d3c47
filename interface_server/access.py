"""The access log: a line for each exchange and for each event of a socket."""

from __future__ import annotations

import sys
import time
from typing import Any

from channels_classic.log import printable
from interface_server.asgi_types import Scope


class AccessLog:
    """Writes lines like those of a web server.

    Arguments:
        file: the path of a file to append to; ``-`` for standard output.
    """

    def __init__(self, file: str) -> None:
        self._stream = sys.stdout if file == "-" else open(file, "a", encoding="utf-8")  # noqa: SIM115

    def __call__(self, event: str, scope: Scope, details: dict[str, Any]) -> None:
        """Write the line of one event."""
        # At once and in one piece: other processes may write to the same file.
        moment = time.strftime("%d/%b/%Y:%H:%M:%S %z")
        self._stream.write(f"{client_of(scope)} - - [{moment}] {describe(event, scope, details)}\n")
        self._stream.flush()


def describe(event: str, scope: Scope, details: dict[str, Any]) -> str:
    """What happened, in printable characters: a path may hold anything."""
    raw_path: bytes | None = scope.get("raw_path")
    path = raw_path.decode("latin-1") if raw_path else scope["path"]
    if scope.get("query_string"):
        path += "?" + scope["query_string"].decode("latin-1")
    if event == "http":
        what, result = (
            f"{scope['method']} {path} HTTP/{scope['http_version']}",
            f"{details['status']} {details['size']}",
        )
    else:
        what = f"WebSocket {event.rpartition('.')[2].upper()} {path}"
        result = str(details.get("code", "-"))
    return f'"{_quotable(what)}" {result}'


def client_of(scope: Scope) -> str:
    """The client's address, as far as there is one, in printable characters."""
    client = scope.get("client")
    # A host other than ours may have it from a header.
    return printable(str(client[0])).replace(" ", "%20") if client else "-"


def _quotable(text: str) -> str:
    """``text`` as it can stand in quotes: with no quote in it that would end it early."""
    return printable(text.replace("\\", "\\\\").replace('"', '\\"'))
