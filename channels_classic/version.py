"""The version of the distribution, alone in a file so that building needs no import of the rest."""

__version__ = "1.0.0"
