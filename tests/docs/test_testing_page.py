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

# What the page only mentions.
TRANSACTIONS = """\
    from channels_classic import Channel
    from channels_classic.test import TransactionChannelTestCase
    from django.contrib.auth.models import User
    from django.db import transaction


    class TransactionTests(TransactionChannelTestCase):
        def test_on_commit(self):
            with transaction.atomic():
                transaction.on_commit(lambda: Channel("results").send({"users": User.objects.count()}))
                User.objects.create_user("ada")
                self.assertIsNone(self.get_next_message("results"))
            self.assertEqual(self.get_next_message("results", require=True)["users"], 1)
"""


def test_they_pass(tmp_path: Path) -> None:
    examples = re.findall(r"^```python\n# (chat/\w+\.py)\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    files = {"manage.py": MANAGE, "myproject/__init__.py": "", "myproject/settings.py": SETTINGS}
    assert len(examples) == PAGE.read_text().count("```python")
    examples.append(("chat/test_transactions.py", TRANSACTIONS))
    project = Project(tmp_path, {**files, "chat/__init__.py": "", **dict(examples)})
    for options in ((), ("--parallel=2",)):
        printed = project.manage("test", "--pattern=test*.py", *options)
        assert "Ran 5 tests" in printed, printed
        assert "OK" in printed.splitlines(), printed
    project.environment["DJANGO_SETTINGS_MODULE"] = "myproject.settings"
    tests = sorted(path for path, text in examples if "def test" in text)
    done = project.python("-m", "pytest", "-q", *tests)
    assert done.returncode == 0, done.stdout
    assert "6 passed" in done.stdout
