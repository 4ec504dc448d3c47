"""Logging of the commands: what a worker or a server has to say reaches the terminal."""

from __future__ import annotations

import logging


def setup_logger(verbosity: int = 1) -> logging.Logger:
    """Let the logger ``django.channels`` write to standard error, unless the project gave it handlers.

    Arguments:
        verbosity: 0 for errors only, 1 for what people should know, 2 and more for every message.
    """
    logger = logging.getLogger("django.channels")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-8s %(message)s"))
        logger.addHandler(handler)
        logger.propagate = False
        logger.setLevel([logging.ERROR, logging.INFO][verbosity] if verbosity < 2 else logging.DEBUG)
    return logger
