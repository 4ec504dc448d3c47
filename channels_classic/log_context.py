"""The id of the client whose message is handled, in every log line from the access log to the last error.

The id is made from the client's reply channel, so an interface server and all workers have the same one. It is not
the name of a channel, so a reader of the log cannot send anything to the client.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from hashlib import blake2s
from typing import Any

message_at_work: ContextVar[Any] = ContextVar("message_at_work", default=None)
"""The ``Message`` whose consumer runs in this context."""


def client_id(reply_channel: str | None) -> str:
    """The id of a client in the log: ten characters, or ``-`` for a message without a client."""
    return blake2s(reply_channel.encode(), digest_size=5).hexdigest() if reply_channel else "-"


def about_client(reply_channel: str) -> dict[str, str]:
    """The ``extra`` of a line that is about a client, and is logged outside of its consumers."""
    return {"client": client_id(reply_channel), "channel": "-"}


def current_client() -> str:
    """The id of the client whose message is handled in this context; ``-`` if there is none."""
    message = message_at_work.get()
    return "-" if message is None else client_id(message.get("reply_channel"))


class ClientFilter(logging.Filter):
    """Adds ``client`` and ``channel`` to each record, for ``%(client)s`` in a format of ``LOGGING``.

    Outside a consumer both are ``-``. It belongs on a handler, so that it sees the lines of all loggers.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep every record."""
        if not hasattr(record, "client"):
            message = message_at_work.get()
            record.client, record.channel = current_client(), "-" if message is None else message.channel_name
        return True


PLAIN = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "server_time", "taskName"})
"""The attributes that every record has. The caller added all others."""


class JsonFormatter(logging.Formatter):
    """Writes each record as one line of JSON, with the client and the channel of its message, and all extras."""

    def format(self, record: logging.LogRecord) -> str:
        """One line: time, level, logger, message, client, channel, extras, and the exception if there is one."""
        ClientFilter().filter(record)
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **{name: value for name, value in vars(record).items() if name not in PLAIN and value != "-"},
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        elif record.exc_text:
            fields["exception"] = record.exc_text
        if record.stack_info:
            fields["stack"] = self.formatStack(record.stack_info)
        return to_json(fields)


def to_json(fields: Mapping[str, Any]) -> str:
    """One line of JSON. Values that JSON does not have become text."""
    return json.dumps(fields, default=str)
