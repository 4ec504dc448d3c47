"""The access log, with a line for each exchange and for each event of a socket."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import Any

from channels_classic.log import printable
from channels_classic.log_context import to_json
from channels_classic.redaction import masked_query
from interface_server.asgi_types import Scope


class AccessLog:
    """Writes lines like those of a web server.

    Arguments:
        file: the path of a file to append to; ``-`` for standard output.
        as_json: whether to write JSON objects instead of lines for people.
    """

    def __init__(self, file: str, as_json: bool = False) -> None:
        self._line = json_line if as_json else text_line
        self._stream = sys.stdout if file == "-" else open(file, "a", encoding="utf-8")  # noqa: SIM115

    def __call__(self, event: str, scope: Scope, details: dict[str, Any]) -> None:
        """Write the line of one event."""
        # The line is written at once and in one piece, because other processes may write to the same file.
        self._stream.write(f"{self._line(event, scope, details)}\n")
        self._stream.flush()


def text_line(event: str, scope: Scope, details: dict[str, Any]) -> str:
    """A line as web servers write it, with the duration in seconds if it is over, and the client's id."""
    moment = time.strftime("%d/%b/%Y:%H:%M:%S %z")
    seconds = f"{details['seconds']:.3f}" if "seconds" in details else "-"
    what = describe(event, scope, details)
    return f"{client_of(scope)} - - [{moment}] {what} {seconds} {details.get('client', '-')}"


def json_line(event: str, scope: Scope, details: dict[str, Any]) -> str:
    """The same as a JSON object."""
    fields = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "event": event,
        "address": client_of(scope),
        "method": scope.get("method"),
        "path": path_of(scope),
        **details,
    }
    return to_json({name: value for name, value in fields.items() if value is not None})


def path_of(scope: Scope) -> str:
    """The path and the query, without secrets in the query."""
    raw_path: bytes | None = scope.get("raw_path")
    path: str = raw_path.decode("latin-1") if raw_path else scope["path"]
    query: bytes = scope.get("query_string") or b""
    return f"{path}?{masked_query(query.decode('latin-1'))}" if query else path


def describe(event: str, scope: Scope, details: dict[str, Any]) -> str:
    """A text about an event, in printable characters, because a path may hold anything."""
    path = path_of(scope)
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
    """The address of the client, in printable characters; ``-`` if there is none."""
    client = scope.get("client")
    # Another host may have taken the address from a header.
    return printable(str(client[0])).replace(" ", "%20") if client else "-"


def _quotable(text: str) -> str:
    """``text`` with quotes and backslashes escaped, so that it can be quoted."""
    return printable(text.replace("\\", "\\\\").replace('"', '\\"'))
