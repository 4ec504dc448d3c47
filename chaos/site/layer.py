"""The channel layer, for the interface servers."""

from channels_classic.asgi import get_channel_layer

channel_layer = get_channel_layer()
