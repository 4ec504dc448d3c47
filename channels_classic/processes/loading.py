"""Ctrl-C while a program loads. This module imports almost nothing, because it has to come first."""

import signal


def die_quietly_while_loading() -> None:
    """Make Ctrl-C end this process at once, without a traceback, until the program has its own handlers.

    Handlers that are already set stay.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
