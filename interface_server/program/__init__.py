"""The program: its options, its command line, and how it serves and stops."""
