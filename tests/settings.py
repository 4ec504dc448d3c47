"""The Django settings of the tests."""

SECRET_KEY = "for tests only, and nowhere else"
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # the others are slow on purpose
ROOT_URLCONF = "tests.urls"
STATIC_URL = "/static/"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "channels_classic",
    "tests.channels_classic.binding.library",
    "channels_classic.delay",
]
MIDDLEWARE: list[str] = []
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
CHANNEL_LAYERS = {
    "default": {"BACKEND": "channels_classic.layers.InMemoryChannelLayer", "ROUTING": {}, "TEST_CONFIG": {}},
}
