"""The program: options, the command line, and serving in a process that stops."""
