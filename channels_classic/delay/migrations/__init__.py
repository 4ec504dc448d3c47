"""The migrations of the delayed messages."""
