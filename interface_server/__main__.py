"""``python -m interface_server``: the same as ``channels-interface``."""

from channels_classic.processes.loading import die_quietly_while_loading


def run(name: str | None = None) -> None:
    """Load the program and run it.

    Arguments:
        name: the name of the program in its help. The default is the name by which it was started.
    """
    die_quietly_while_loading()
    from interface_server.program.cli import main

    main(prog_name=name)


if __name__ == "__main__":
    run("python -m interface_server")
