"""Reads ``CHANNEL_LAYERS`` and makes its layers (specification, section 5)."""
