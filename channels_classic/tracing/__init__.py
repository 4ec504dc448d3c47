"""Tracing with OpenTelemetry: spans of clients, consumers and sends, and the context that travels in messages.

Nothing here is imported without ``--tracing``, except for this module, which needs no OpenTelemetry.
"""

from __future__ import annotations

from importlib.util import find_spec

HELP = "Record traces with OpenTelemetry. Needs the extra channels-classic[tracing]."
"""What the commands say about ``--tracing``."""


class NoTracing(Exception):
    """Nothing can be traced here; the text says what to do."""


def check_tracing() -> None:
    """Make sure that OpenTelemetry is installed.

    Raises:
        NoTracing: it is not.
    """
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.trace") is None:
        raise NoTracing("--tracing needs OpenTelemetry: pip install 'channels-classic[tracing]'.")
