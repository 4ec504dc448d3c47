import os

SECRET_KEY = "only for the benchmark"
DEBUG = False
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["channels"]
MIDDLEWARE = []
ROOT_URLCONF = "bench_site.urls"
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "asgi_redis.RedisChannelLayer",
        "CONFIG": {
            "hosts": [os.environ["BENCH_REDIS_URL"]],
            "capacity": int(os.environ.get("BENCH_CAPACITY", 100)),
        },
        "ROUTING": "bench_site.routing.routing",
    }
}
