"""The ``TracerProvider`` of this process, which the project or ``opentelemetry-instrument`` sets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.trace import ProxyTracerProvider, get_tracer_provider

from channels_classic.log import logger


@contextmanager
def recording() -> Iterator[None]:
    """Check that spans are recorded, and let the exporter send the last ones after the block."""
    if isinstance(get_tracer_provider(), ProxyTracerProvider):
        logger.warning(
            "--tracing records nothing, because this process has no TracerProvider. Set one in the settings, or "
            "start the program with opentelemetry-instrument."
        )
    try:
        yield
    finally:
        # Child processes end without the atexit functions that would do this.
        if (flush := getattr(get_tracer_provider(), "force_flush", None)) is not None:
            flush()
