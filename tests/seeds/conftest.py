"""The project with which all these documents begin: ``startproject`` and ``startapp``, with Channels installed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser import browser  # noqa: F401
from tests.project import LEGACY_MANAGE, Project

SETTINGS = """\
import os

BASE_DIR = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

SECRET_KEY = "for tests"

DEBUG = True

ALLOWED_HOSTS = []

INSTALLED_APPS = [
    'django.contrib.auth',
    'django.contrib.contenttypes',
    'django.contrib.sessions',
    'django.contrib.staticfiles',
    'channels',
    'myproject.myapp',
]

MIDDLEWARE = [
    'django.contrib.sessions.middleware.SessionMiddleware',
    'django.contrib.auth.middleware.AuthenticationMiddleware',
]

DEFAULT_AUTO_FIELD = 'django.db.models.AutoField'

ROOT_URLCONF = 'myproject.urls'

TEMPLATES = [
    {
        'BACKEND': 'django.template.backends.django.DjangoTemplates',
        'OPTIONS': {'context_processors': ['django.template.context_processors.request']},
    },
]

DATABASES = {
    'default': {
        'ENGINE': 'django.db.backends.sqlite3',
        'NAME': os.path.join(BASE_DIR, 'db.sqlite3'),
        # Not of its time: several workers write at once.
        'OPTIONS': {'timeout': 20, 'transaction_mode': 'IMMEDIATE'},
    }
}

STATIC_URL = '/static/'
"""

IN_MEMORY = """
# In settings.py
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "asgiref.inmemory.ChannelLayer",
        "ROUTING": "myproject.routing.channel_routing",
    },
}
"""

# What the documents take for granted: a site to log in at, and a look behind the scenes for the tests.
URLS = """\
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.http import HttpResponse, JsonResponse
from django.template import engines
from django.urls import path

from channels import channel_layers


def home(request):
    return HttpResponse("<title>The site</title>")


def log_in(request, name):
    user, created = User.objects.get_or_create(username=name)
    login(request, user)
    return HttpResponse(engines["django"].from_string("{{ request.session.session_key }}").render({}, request))


def members(request, group):
    return JsonResponse(channel_layers["default"].group_channels(group), safe=False)


urlpatterns = [path("", home), path("login/<name>/", log_in), path("members/<group>/", members)]
"""


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Project]:
    """Makes the project of the documents, with these files and on the in-memory layer unless told otherwise."""

    def project(files: dict[str, str], settings: str = IN_MEMORY) -> Project:
        return Project(
            tmp_path,
            {
                "manage.py": LEGACY_MANAGE,
                "myproject/__init__.py": "",
                "myproject/settings.py": SETTINGS + settings,
                "myproject/urls.py": URLS,
                "myproject/myapp/__init__.py": "",
                **{f"myproject/{name}": text for name, text in files.items()},
            },
        )

    return project
