import os

SECRET_KEY = "only for the benchmark"
DEBUG = False
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["channels_classic"]
MIDDLEWARE = []
ROOT_URLCONF = "bench_site.urls"
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_classic.layers.RedisChannelLayer",
        "CONFIG": {"hosts": [os.environ["BENCH_REDIS_URL"]]},
        "ROUTING": "bench_site.routing.routing",
    }
}
