"""Where the interface servers find the channel layer."""

from channels_classic.asgi import get_channel_layer

channel_layer = get_channel_layer()
