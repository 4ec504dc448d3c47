"""Tracing with OpenTelemetry: spans of clients, consumers and sends, and the context that travels in messages.

Nothing here is imported without ``--tracing``, except for this module, which needs no OpenTelemetry.
"""

from __future__ import annotations

from importlib.util import find_spec

HELP = "Record traces with OpenTelemetry. Needs the extra channels-classic[tracing]."
"""The help text of ``--tracing``."""

FIELD = "__trace__"
"""The key of a message that carries the context of a trace. Readers that do not trace ignore it."""


class NoTracing(Exception):
    """Tracing is not possible here. The text tells what to do."""


def check_tracing() -> None:
    """Check that OpenTelemetry is installed.

    Raises:
        NoTracing: it is not.
    """
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.trace") is None:
        raise NoTracing("--tracing needs OpenTelemetry: pip install 'channels-classic[tracing]'.")
