"""The settings of the site for ``test_load``. The rest comes by environment variables."""

from __future__ import annotations

import json
import os

from channels_classic.layers import turns

turns.LEASE_SECONDS = float(os.environ.get("LOAD_LEASE", turns.LEASE_SECONDS))
SECRET_KEY = "for tests only, and nowhere else"
USE_TZ = True
INSTALLED_APPS = ["django.contrib.sessions", "channels_classic"]
DATABASES = {"default": {**json.loads(os.environ["LOAD_DATABASE"]), "CONN_MAX_AGE": None}}
CHANNEL_SESSION_ENGINE = os.environ["LOAD_SESSION_ENGINE"]
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_classic.layers.RedisChannelLayer",
        "CONFIG": {"hosts": [os.environ["LOAD_REDIS"]]},
        "ROUTING": {
            "websocket.connect": "tests.ordering.consumers.connect",
            "websocket.receive": "tests.ordering.consumers.receive",
            "websocket.disconnect": "tests.ordering.consumers.disconnect",
        },
    }
}
