"""The program: options, the command line, and hosting."""
