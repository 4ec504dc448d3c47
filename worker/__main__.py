"""``python -m worker``: the same as ``channels-worker``."""

from channels_classic.processes.loading import die_quietly_while_loading


def run(name: str | None = None) -> None:
    """Load the program and run it.

    Arguments:
        name: the name of the program in its help. The default is the name by which it was started.
    """
    die_quietly_while_loading()
    from worker.cli import main

    main(prog_name=name)


if __name__ == "__main__":
    run("python -m worker")
