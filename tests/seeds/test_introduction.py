"""An echo server, from ``startproject`` on."""

from __future__ import annotations

from importlib.metadata import requires
from pathlib import Path

from tests.project import Project

INSTALL = "pip install channels"


def test_its_install_command_brings_django() -> None:
    """The package of that name is Channels 4. The tests run with what is to be installed instead."""
    needed = requires(INSTALL.split()[-1] + "-classic") or []
    assert any(requirement.lower().startswith("django") for requirement in needed)


# Since Django 4 the first of these has been called without its ".py".
CREATE_A_PROJECT = "django-admin.py startproject djchan"
GO_THERE = "cd djchan"
CREATE_AN_APP = "python manage.py startapp realtime"

CONSUMERS = """\
    # consumers.py
    def websocket_receive(message):
        text = message.content.get('text')
        if text:
            message.reply_channel.send({"text": "You said: {}".format(text)})
"""

INSTALLED_APPS = """
INSTALLED_APPS = [
    'django.contrib.admin',
    'django.contrib.auth',
    'django.contrib.contenttypes',
    'django.contrib.sessions',
    'django.contrib.messages',
    'django.contrib.staticfiles',

    "channels",
    "realtime"
]
"""

# The article as we have it ends before it hooks the consumer up.
ROUTING = """
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "asgiref.inmemory.ChannelLayer",
        "ROUTING": {"websocket.receive": "realtime.consumers.websocket_receive"},
    },
}
"""


def test_an_echo_server(tmp_path: Path) -> None:
    workshop = Project(tmp_path)
    assert workshop.python("-m", "django", *CREATE_A_PROJECT.split()[1:]).returncode == 0
    project = Project(tmp_path / GO_THERE.split()[1])
    assert project.python(*CREATE_AN_APP.split()[1:]).returncode == 0
    settings = (project.folder / "djchan" / "settings.py").read_text()
    project.write(
        {
            # The one line that is new, here on top of the settings.
            "djchan/settings.py": f"import channels_classic.legacy\n{settings}{INSTALLED_APPS}{ROUTING}",
            "realtime/consumers.py": CONSUMERS,
        }
    )
    with project.served() as site:
        with site.connect() as client:
            client.send("hello")
            assert client.recv() == "You said: hello"
            client.send("")
            client.send("again")
            assert client.recv() == "You said: again"
        assert "The install worked successfully!" in site.http.get("/").text
