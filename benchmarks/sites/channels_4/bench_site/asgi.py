import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench_site.settings")
django_application = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.urls import path  # noqa: E402

from bench_site.consumers import Broadcast, Echo, SyncEcho  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": django_application,
        "websocket": URLRouter(
            [
                path("echo", Echo.as_asgi()),
                path("echo-sync", SyncEcho.as_asgi()),
                path("broadcast", Broadcast.as_asgi()),
            ]
        ),
    }
)
