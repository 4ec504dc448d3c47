"""Settings of the example live blog. What differs from place to place comes from the environment:

SECRET_KEY, DEBUG, ALLOWED_HOSTS   as in any Django site; DEBUG is on (1) if not set
DATABASE                           where the SQLite file lives
REDIS_URL                          the channel layer of a site with several processes
HTTPS                              1 where visitors come over https: cookies then travel over nothing else
"""

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent

DEBUG = os.environ.get("DEBUG", "1") == "1"
SECRET_KEY = os.environ.get("SECRET_KEY", "development-only-not-a-secret")
if not DEBUG and "SECRET_KEY" not in os.environ:
    raise ImproperlyConfigured("With DEBUG off, set SECRET_KEY in the environment to a secret of your own.")
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]").split(",")

INSTALLED_APPS = [
    "channels_classic",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "blog",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

ROOT_URLCONF = "blogsite.urls"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = "blogs"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = os.environ.get("HTTPS") == "1"

# Channel sessions end with their socket. In the channel layer they leave no rows behind.
CHANNEL_SESSION_ENGINE = "channels_classic.session_engine"

# Several workers write at once: WAL lets readers go on meanwhile, and IMMEDIATE makes a writer wait
# for its turn (up to the timeout, in seconds) instead of failing halfway through a transaction.
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("DATABASE", BASE_DIR / "db.sqlite3"),
        "OPTIONS": {
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
        },
    },
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_classic.layers.InMemoryChannelLayer",
        "ROUTING": "blogsite.routing.channel_routing",
    },
}
if "REDIS_URL" in os.environ:
    CHANNEL_LAYERS["default"] |= {
        "BACKEND": "channels_classic.layers.RedisChannelLayer",
        "CONFIG": {"hosts": [os.environ["REDIS_URL"]]},
    }

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "static"
USE_TZ = True
TIME_ZONE = "UTC"
