"""The page on sockets beside an unchanged site: its files, its programs, and a real nginx."""

from __future__ import annotations

import re
import shlex
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.programs import running
from tests.project import DEADLINE, REPOSITORY, Project, Site
from tests.redis_server import RedisServer

PAGE = (REPOSITORY / "docs" / "sockets-only.md").read_text()
FILES = dict(re.findall(r"```(?:python|nginx)\n# (\S+)\n(.*?)```", PAGE, re.DOTALL))
COMMANDS = [
    line[2:] for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
]

SETTINGS = """\
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "for tests"
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "mysite"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
ROOT_URLCONF = "mysite.urls"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
"""

# What the site had before.
SITE = {
    "mysite/__init__.py": "",
    "mysite/apps.py": """\
        from django.apps import AppConfig

        class SiteConfig(AppConfig):
            name = "mysite"

            def ready(self):
                from mysite import signals
    """,
    "mysite/wsgi.py": """\
        import os
        from django.core.wsgi import get_wsgi_application

        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
        application = get_wsgi_application()
    """,
    "mysite/urls.py": """\
        from django.contrib.auth import login
        from django.contrib.auth.models import User
        from django.http import HttpResponse
        from django.urls import path
        from mysite import tasks, views

        def log_in(request):
            user, created = User.objects.get_or_create(username="anna")
            login(request, user)
            return HttpResponse(str(user.pk))

        def report(request, user_id):
            tasks.report(user_id)
            return HttpResponse("begun")

        urlpatterns = [
            path("publish/", views.publish),
            path("login/", log_in),
            path("report/<int:user_id>/", report),
        ]
    """,
    # A task is a function that a broker calls; this one is called at once.
    "celery.py": "def shared_task(function):\n    return function\n",
    # gunicorn's place is taken by the server that Python has: a WSGI server is a WSGI server.
    "serve.py": """\
        import sys
        from wsgiref.simple_server import make_server
        from mysite.wsgi import application

        make_server("127.0.0.1", int(sys.argv[1]), application).serve_forever()
    """,
}


def with_ports(text: str, ports: dict[str, int]) -> str:
    """``text`` with other ports than those of the page; all at once, because 18001 has an 8001 in it."""
    return re.sub(rf"\b(?:{'|'.join(ports)})\b", lambda found: str(ports[found[0]]), text)


@pytest.fixture
def served(tmp_path: Path, redis_server: RedisServer, redis_url: str) -> Iterator[tuple[Project, Site]]:
    """The site behind nginx, with everything that the page starts."""
    nginx = shutil.which("nginx")
    if nginx is None:
        pytest.skip("There is no nginx on this machine.")
    http, sockets, front = free_port(), free_port(), free_port()
    files = {path: text for path, text in FILES.items() if path.startswith("mysite/")}
    files["mysite/settings.py"] = SETTINGS + files["mysite/settings.py"].replace("6379", str(redis_server.port))
    manage = "import sys\nfrom django.core.management import execute_from_command_line\n"
    manage += "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'mysite.settings')\n"
    project = Project(tmp_path, {**SITE, **files, "manage.py": manage + "execute_from_command_line(sys.argv)\n"})
    project.manage("migrate")
    ports = {"8000": http, "8001": sockets, "6379": redis_server.port}
    configuration = with_ports(FILES["nginx.conf"], ports).replace("listen 80;", f"listen 127.0.0.1:{front};")
    paths = "".join(
        f"{kind}_temp_path {tmp_path}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; pid {tmp_path}/nginx.pid; error_log stderr; worker_processes 1;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{paths}{configuration}}}\n"
    )
    _, _, interface, worker = COMMANDS
    interface = with_ports(interface, ports)
    with ExitStack() as stack:
        server = stack.enter_context(project.running(str(http), program=["serve.py"], log="site.txt"))
        program, *options = shlex.split(interface)
        assert program == "channels-interface"
        launched = project.running(*options, program=["-m", "interface_server"], log="interface.txt")
        stack.enter_context(launched).wait("The channel layer answers.")
        python, *arguments = shlex.split(worker)
        assert python == "python"
        launched = project.running(*arguments[1:], program=arguments[:1], log="worker.txt")
        stack.enter_context(launched).wait("channels: websocket.connect, websocket.disconnect, websocket.receive")
        proxy = stack.enter_context(running([nginx, "-e", "stderr", "-c", tmp_path / "nginx.conf"], tmp_path))
        site = stack.enter_context(Site(front, server))
        proxy.wait(site.listens)
        server.wait(Site(http, server).listens)
        yield project, site


def test_everything_on_the_page(served: tuple[Project, Site]) -> None:
    """It has views and sockets at one address, one login, and messages from views, a signal, a task and a
    shell."""
    project, site = served
    user = site.http.get("/login/")
    cookie = {"Cookie": f"sessionid={user.cookies['sessionid']}"}
    with site.connect("/ws", **cookie) as anna, site.connect("/ws") as somebody:
        deadline = time.monotonic() + DEADLINE
        # A socket is accepted by what its consumer sends; it is in the groups when the consumer has ended.
        while "members" not in project.manage("shell", "-c", MEMBERS.format(user.text)):
            assert time.monotonic() < deadline
        assert site.http.get("/publish/", params={"headline": "News"}).text == "published"
        assert anna.recv() == somebody.recv() == '{"headline": "News"}'
        assert site.http.get("/login/").status_code == 200
        assert anna.recv() == "You logged in somewhere else."
        assert site.http.get(f"/report/{user.text}/").text == "begun"
        assert anna.recv() == "Your report is ready."
        _, *shell = shlex.split(COMMANDS[0])
        assert project.python(*shell).returncode == 0
        assert anna.recv() == somebody.recv() == "Hello from a shell"


MEMBERS = (
    "from channels_classic import channel_layers; layer = channel_layers['default']; "
    "print('members' if len(layer.group_channels('news')) == 2 and layer.group_channels('user-{}') else '')"
)


def test_it_is_ten_lines() -> None:
    added = FILES["mysite/settings.py"] + FILES["mysite/routing.py"]
    assert len([line for line in added.splitlines() if line]) == 10
