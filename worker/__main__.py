"""``python -m worker``: the same as ``channels-worker``."""

import signal


def run(name: str | None = None) -> None:
    """Load the program and run it. Ctrl-C while it loads ends the process at once, without a traceback.

    Once it runs, it has handlers of its own.

    Arguments:
        name: what the help calls the program, if not as it was started.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from worker.cli import main

    main(prog_name=name)


if __name__ == "__main__":
    run("python -m worker")
