"""Constants that need neither Django nor anything of this package."""

DEFAULT_CHANNEL_LAYER = "default"
"""The alias in ``settings.CHANNEL_LAYERS`` that is meant where none is named."""
