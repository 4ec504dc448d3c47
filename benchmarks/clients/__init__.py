"""The clients: one process on uvloop, with as little Python per message as possible."""
