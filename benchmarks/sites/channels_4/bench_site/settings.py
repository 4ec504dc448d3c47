import os

SECRET_KEY = "only for the benchmark"
DEBUG = False
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["channels"]
MIDDLEWARE = []
ROOT_URLCONF = "bench_site.urls"
ASGI_APPLICATION = "bench_site.asgi.application"
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": os.environ["BENCH_LAYER"],
        "CONFIG": {"hosts": [os.environ["BENCH_REDIS_URL"]]},
    }
}
