"""Settings of the show's site. The stage sets the rest by environment variables."""

import json
import os

SECRET_KEY = "for the show only, and nowhere else"
ALLOWED_HOSTS = ["127.0.0.1"]
USE_TZ = True
ROOT_URLCONF = "chaos.site.urls"
INSTALLED_APPS = ["channels_classic"]
CHANNEL_SESSION_ENGINE = "channels_classic.session_engine"
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_classic.layers.RedisSentinelChannelLayer",
        "CONFIG": {"hosts": json.loads(os.environ["CHAOS_SENTINELS"]), "services": ["chaos"]},
        "ROUTING": {
            "websocket.connect": "chaos.site.consumers.connect",
            "websocket.receive": "chaos.site.consumers.receive",
            "websocket.disconnect": "chaos.site.consumers.disconnect",
        },
    }
}
