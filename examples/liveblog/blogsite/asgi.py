"""The channel layer for interface servers: `channels-interface blogsite.asgi:channel_layer`."""

import os

from channels_classic.asgi import get_channel_layer

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "blogsite.settings")
channel_layer = get_channel_layer()
