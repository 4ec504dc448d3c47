"""The examples of the pages on class-based consumers and on data binding, as projects."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.project import MANAGE, Project

# Each example names its file in its first line; what follows under the same name is added to it.
DOCS = Path(__file__).resolve().parents[2] / "docs"

SETTINGS = """\
    SECRET_KEY = "for tests"
    INSTALLED_APPS = [
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "channels_classic",
        "{app}",
    ]
    DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}}}
    DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
    ROOT_URLCONF = "myproject.settings"
    urlpatterns = []
    CHANNEL_LAYERS = {{
        "default": {{
            "BACKEND": "channels_classic.layers.RedisChannelLayer",
            "CONFIG": {{"hosts": ["redis://127.0.0.1:1"]}},
            "ROUTING": "{app}.routing.channel_routing",
        }},
    }}
"""

# What the pages only mention.
MENTIONED = {
    "chat": """\

    def test_safe(self):
        from channels_classic.exceptions import DenyConnection
        from chat.consumers import RoomConsumer
        from chat.safe import AllowedHostsOnly

        safe = type("Safe", (AllowedHostsOnly, RoomConsumer), {})
        with apply_routes([safe.as_route(path="^/(?P<room>.*)$")]):
            client = WSClient(ordered=True)
            client.set_header("origin", "http://testserver")
            client.send_and_consume("websocket.connect")
            client.send_and_consume("websocket.receive", text={"text": "hello"})
            client = WSClient(ordered=True)
            client.set_header("origin", "http://evil.example")
            with self.assertRaises(DenyConnection):
                client.send_and_consume("websocket.connect")
""",
    "news": """\

    def test_with_another_binding_from_here_on(self):
        from channels_classic.test import apply_routes
        from news.consumers import History
        from news.routing import NewsSocket

        Article.objects.create(title="Rain", is_public=True)
        consumers = {**NewsSocket.consumers, "history": History}
        with apply_routes([NewsSocket.as_route({"consumers": consumers})]):
            client = WSClient()
            client.send_and_consume("websocket.connect")
        frame = client.receive()
        self.assertEqual((frame["stream"], frame["payload"][0]["data"]["title"]), ("history", "Rain"))
        from news import headlines, stamped  # noqa: F401
        Article.objects.create(title="Sun")
        self.editor.receive()
        self.assertEqual({self.editor.receive()["stream"] for _ in range(2)}, {"articles", "stamped"})
""",
}


@pytest.mark.parametrize(("page", "app"), [("generics.md", "chat"), ("binding.md", "news")])
def test_they_pass(page: str, app: str, tmp_path: Path) -> None:
    text = (DOCS / page).read_text()
    examples = re.findall(r"^```python\n# (\w+/\w+\.py)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(examples) == text.count("```python")
    files = {
        "manage.py": MANAGE,
        "myproject/__init__.py": "",
        "myproject/settings.py": SETTINGS.format(app=app),
        f"{app}/__init__.py": "",
    }
    for path, code in examples:
        files[path] = files.get(path, "") + code
    files[f"{app}/tests.py"] += MENTIONED[app]
    project = Project(tmp_path, files)
    printed = project.manage("test")
    assert "Ran 4 tests" in printed, printed
    assert "OK" in printed.splitlines(), printed
