"""The commands of projects that import ``channels_classic.legacy``."""
