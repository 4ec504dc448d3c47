"""Ctrl-C while a program loads. This module imports next to nothing, because it has to be there first."""

import signal


def die_quietly_while_loading() -> None:
    """Let Ctrl-C end this process at once, without a traceback, until the program has handlers of its own.

    Handlers that somebody has set already stay.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
