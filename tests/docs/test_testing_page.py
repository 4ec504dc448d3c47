"""The examples of ``docs/testing.md``, as the project that they make together."""

from __future__ import annotations

import re
from pathlib import Path

from tests.project import MANAGE, Project

# Each example names its file in its first line.
PAGE = Path(__file__).resolve().parents[2] / "docs" / "testing.md"

SETTINGS = """\
    SECRET_KEY = "for tests"
    INSTALLED_APPS = [
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "channels_classic",
        "chat",
    ]
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}
    ROOT_URLCONF = "myproject.settings"
    urlpatterns = []
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_classic.layers.RedisChannelLayer",
            "CONFIG": {"hosts": ["redis://127.0.0.1:1"]},
            "ROUTING": "chat.routing.channel_routing",
        },
    }
"""


def test_they_pass(tmp_path: Path) -> None:
    examples = re.findall(r"^```python\n# (chat/\w+\.py)\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    files = {"manage.py": MANAGE, "myproject/__init__.py": "", "myproject/settings.py": SETTINGS}
    project = Project(tmp_path, {**files, "chat/__init__.py": "", **dict(examples)})
    assert len(examples) == PAGE.read_text().count("```python")
    printed = project.manage("test", "--pattern", "test*.py")
    assert "OK" in printed, printed
    project.environment["DJANGO_SETTINGS_MODULE"] = "myproject.settings"
    tests = sorted(path for path, text in examples if "def test" in text)
    done = project.python("-m", "pytest", "-q", *tests)
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout
