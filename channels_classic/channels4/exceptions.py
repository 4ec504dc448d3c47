"""The exception that both Channels 4 and this package know. The import needs Channels 4."""

from __future__ import annotations

from channels_classic import installed_channels, layers

if (_problem := installed_channels.problem()) is not None:
    raise ImportError(f"The layers of channels_classic.channels4 are for Channels 4. {_problem}")

from channels.exceptions import ChannelFull as TheirChannelFull


class ChannelFull(layers.ChannelFull, TheirChannelFull):  # type: ignore[misc]
    """The channel is at its capacity."""
