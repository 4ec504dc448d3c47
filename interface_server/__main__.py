"""``python -m interface_server``."""

from interface_server.program.cli import main

if __name__ == "__main__":
    main(prog_name="python -m interface_server")
