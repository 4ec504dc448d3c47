"""Constants whose module imports neither Django nor anything of this package."""

DEFAULT_CHANNEL_LAYER = "default"
"""The alias in ``settings.CHANNEL_LAYERS`` of the layer that is used unless you name another."""
