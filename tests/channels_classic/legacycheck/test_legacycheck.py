"""Projects of Channels 1, and what is found in them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from channels_classic.legacycheck.__main__ import main
from channels_classic.legacycheck.finding import Finding
from channels_classic.legacycheck.programs import OPTIONS
from channels_classic.legacycheck.report import find
from tests.channels_classic.legacy.test_finder import OLD_IMPORTS
from tests.project import LEGACY_MANAGE, MANAGE

Find = Callable[..., list[tuple[str, int, str]]]

SETTINGS = """\
import channels_classic.legacy

INSTALLED_APPS = ["channels", "chat"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "asgi_redis.RedisChannelLayer",
        "CONFIG": {"hosts": [("localhost", 6379)], "prefix": "x:", "capacity": 10},
        "ROUTING": "myproject.routing.routing",
    },
}
"""
CLEAN = {"manage.py": LEGACY_MANAGE, "myproject/__init__.py": "", "myproject/settings.py": SETTINGS}


@pytest.fixture
def findings(tmp_path: Path) -> Callable[..., list[Finding]]:
    """Everything that is found in a project that would be clean without these files."""

    def findings(**files: str) -> list[Finding]:
        for name, text in {**CLEAN, **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text))
        return find(tmp_path)

    return findings


@pytest.fixture
def found(findings: Callable[..., list[Finding]]) -> Find:
    """File, line and rule of everything that is found."""

    def found(**files: str) -> list[tuple[str, int, str]]:
        return [(each.file, each.line, each.rule) for each in findings(**files)]

    return found


def test_a_project_that_has_been_moved_over(found: Find) -> None:
    imports = "".join(line.strip() + "\n" for line in OLD_IMPORTS.splitlines() if "import" in line)
    files = {
        "chat/consumers.py": imports,
        "chat/generics.py": "from channels import log, routing\nfrom . import views\nimport channels.tests\n",
        "Procfile": "web: channels-interface myproject.asgi:channel_layer\nworker: python manage.py runworker\n",
        "requirements.txt": "channels-classic>=1.0\nDjango>=5.2\nchannels-redis==4.2\ndjango-filter==1.0\n",
    }
    assert found(**files) == []


def test_the_legacy_import_is_missing(found: Find) -> None:
    settings = SETTINGS.removeprefix("import channels_classic.legacy\n")
    assert found(**{"manage.py": MANAGE, "myproject/settings.py": settings}) == [
        ("myproject/settings.py", 1, "legacy-import")
    ]


def test_the_legacy_import_is_in_the_settings_that_these_take_over(found: Find) -> None:
    files = {
        "manage.py": MANAGE.replace("myproject.settings", "myproject.settings.production"),
        "myproject/settings/__init__.py": "",
        "myproject/settings/base.py": SETTINGS,
        "myproject/settings/production.py": "from .base import *\n",
        "myproject/routing.py": "from channels import route\n",
    }
    assert found(**files) == []
    absolute = "from myproject.settings.base import *\n"
    assert found(**{**files, "myproject/settings/production.py": absolute}) == []
    other = "from .other import *\n"
    assert found(**{**files, "myproject/settings/production.py": other}) == [
        ("myproject/settings/production.py", 1, "legacy-import")
    ]


def test_files_that_are_read_before_the_settings(found: Find) -> None:
    asgi = "import os\nfrom channels.asgi import get_channel_layer\n"
    assert found(**{"myproject/asgi.py": asgi}) == [("myproject/asgi.py", 2, "legacy-import")]
    assert found(**{"myproject/asgi.py": f"import channels_classic.legacy\n{asgi}"}) == []
    late = f"{asgi}from channels_classic import legacy\n"
    assert found(**{"myproject/asgi.py": late}) == [("myproject/asgi.py", 2, "legacy-import-late")]


def test_names_that_do_not_exist_here(found: Find) -> None:
    module = """\
        from channels.asgi import no_such_thing
        from channels.no_such_module import anything
        import channels.no_such_module
        from channels.generic.websocket import AsyncWebsocketConsumer
        from channels.routing import ProtocolTypeRouter, route
        from channels.layers import get_channel_layer
        from channels.database_layer import DatabaseChannelLayer
        import asgi_ipc
        from daphne.server import Server
        from asgi_redis import RedisChannelLayer, Nothing
        from channels import Nothing, Channel, tests
        from channels.decorators import channel_session, linearize
    """
    assert found(**{"chat/a.py": module}) == [
        ("chat/a.py", 1, "no-such-name"),
        ("chat/a.py", 2, "no-such-name"),
        ("chat/a.py", 3, "no-such-name"),
        ("chat/a.py", 4, "todays-channels"),
        ("chat/a.py", 5, "todays-channels"),
        ("chat/a.py", 6, "todays-channels"),
        ("chat/a.py", 7, "no-such-package"),
        ("chat/a.py", 8, "no-such-package"),
        ("chat/a.py", 9, "no-such-package"),
        ("chat/a.py", 10, "no-such-name"),
        ("chat/a.py", 11, "no-such-name"),
        ("chat/a.py", 12, "no-such-name"),
        ("chat/a.py", 12, "no-such-name"),
    ]


def test_consumers_and_what_they_send(found: Find) -> None:
    module = """\
        from channels import Channel, Group

        async def connect(message):
            pass

        class Consumer:
            async def receive(self, message, **kwargs):
                Group("a").send({"text": "a", "scores": {1: "a", -2: "b", "3": "c"}}, immediately=True)
                Channel("b").send(content={"a": [{True: 1}, {None: 1}, {(1, 2): 1}, {b"a": 1}]})
                self.group_send("a", {"tags": {1, 2}})
                Channel("channels.delay").send({"delay": 10})

        async def fetch(url):
            {1: 2}.get(1)
            requests.post(data={1: 2})
    """
    assert found(**{"chat/a.py": module}) == [
        ("chat/a.py", 8, "message-key"),
        ("chat/a.py", 8, "message-key"),
        ("chat/a.py", 9, "message-key"),
        ("chat/a.py", 9, "message-key"),
        ("chat/a.py", 9, "message-key"),
        ("chat/a.py", 9, "message-key"),
        ("chat/a.py", 10, "message-value"),
        ("chat/a.py", 11, "delay-channel"),
    ]


def test_bindings(found: Find) -> None:
    module = """\
        class Old(WebsocketBinding):
            model = Value

            def group_names(self, instance, action):
                return ["values"]

        class New(websockets.WebsocketBindingWithMembers):
            model = Value
            fields = ["name"]

            @classmethod
            def group_names(cls, instance):
                return ["values"]

        class Base(WebsocketBinding):
            pass
    """
    assert found(**{"chat/a.py": module}) == [("chat/a.py", 1, "binding")]


def test_modules_that_have_our_names(found: Find) -> None:
    assert found(**{"worker/__init__.py": "", "interface_server.py": "", "chat/worker.py": ""}) == [
        ("interface_server.py", 1, "module-name"),
        ("worker/__init__.py", 1, "module-name"),
    ]


def test_settings(findings: Callable[..., list[Finding]]) -> None:
    settings = """\
        import channels_classic.legacy
        INSTALLED_APPS = ["channels", "channels_classic"]  # and no DEFAULT_AUTO_FIELD
        SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
        USE_L10N = True
        MIDDLEWARE_CLASSES = []
        CHANNEL_LAYERS = {
            "default": {
                "BACKEND": "asgi_redis.RedisChannelLayer",
                "CONFIG": {
                    "hosts": "redis://:secret@localhost",
                    "socket_timeout": 5,
                    "blpop_timeout": 5,
                },
            },
            "a": {"BACKEND": "asgi_ipc.IPCChannelLayer"},
            "b": {"BACKEND": "channels.database_layer.DatabaseChannelLayer"},
            "c": {"BACKEND": "asgi_redis.RedisLocalChannelLayer"},
            "d": {"BACKEND": "asgiref.inmemory.ChannelLayer", "CONFIG": {"capacity": 1}},
            "e": {"BACKEND": "asgi_rabbitmq.RabbitmqChannelLayer", "CONFIG": {"url": "amqp://"}},
        }
        CHANNEL_BACKENDS = {}
    """
    results = findings(**{"myproject/settings.py": settings})
    assert [(each.line, each.rule) for each in results] == [
        (2, "app-twice"),
        (2, "django-setting"),
        (3, "signed-cookies"),
        (4, "django-setting"),
        (5, "django-setting"),
        (10, "layer-config"),
        (11, "layer-config"),
        (12, "layer-config"),
        (15, "layer-backend"),
        (16, "layer-backend"),
        (17, "layer-backend"),
        (19, "layer-backend"),
        (21, "layer-backend"),
    ]
    assert "secret" not in str(results)
    assert "connection_kwargs" in results[6].remedy


def test_channel_sessions_elsewhere_than_in_cookies(found: Find) -> None:
    engines = """\
        import channels_classic.legacy
        SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
        CHANNEL_SESSION_ENGINE = "channels_classic.session_engine"
    """
    assert found(**{"myproject/settings.py": engines}) == []


def test_daphne(findings: Callable[..., list[Finding]]) -> None:
    files = {
        "Procfile": "web: daphne -b 0.0.0.0 -p $PORT --websocket_timeout 60 -v2 myproject.asgi:channel_layer\n",
        "deploy/site.service": "[Service]\nExecStart=/bin/daphne -u /run/x.sock myproject.asgi:channel_layer\n",
        "docker-compose.yml": 'command: ["daphne", "-e", "ssl:443", "myproject.asgi:channel_layer"]\n',
        "nginx/site.conf": "proxy_set_header Daphne-Root-Path /app;\n",
        "run.sh": "# daphne myproject.asgi:channel_layer\npip install daphne\n",
        "start.sh": "daphne --ws-protocol a b -p 80 myproject.asgi:channel_layer\n",
    }
    results = findings(**files)
    assert [(each.file, each.line, each.rule) for each in results] == [
        ("Procfile", 1, "daphne"),
        ("deploy/site.service", 2, "daphne"),
        ("docker-compose.yml", 1, "daphne"),
        ("nginx/site.conf", 1, "daphne-root-path"),
        ("start.sh", 1, "daphne"),
    ]
    assert "--websocket_timeout is --websocket-timeout" in results[0].remedy
    assert "-p" not in results[0].remedy
    assert "Its options stay as they are." in results[1].remedy
    assert "--ssl-keyfile" in results[2].remedy
    assert results[4].remedy.endswith("Of its options, --ws-protocol is --ws-protocol, once for each protocol.")


def test_requirements(found: Find) -> None:
    lines = [
        "channels==1.1.8",
        "asgi_redis==1.4.3",
        "asgi-redis",
        "asgiref~=1.1",
        "daphne<2",
        "Django>=1.11,<1.12",
        "channels",
        "channels[tests]==1.1.8 ; python_version > '3'",
        "channels>=0.17",
    ]
    fine = ["channels>=4", "asgiref>=3.8", "daphne==4.1", "Django>=5.2,<6", "# channels==1.1.8", "-r base.txt", ""]
    text = "\n".join([*lines, *fine])
    for name in ("requirements.txt", "requirements/base.txt", "dev-requirements.in"):
        expected = [(name, number, "requirement") for number in range(1, len(lines) + 1)]
        assert found(**{name: text}) == expected
        assert found(**{name: ""}) == []
    assert found(Pipfile='[packages]\nchannels = "==1.1.8"\nrequests = "*"\n') == [("Pipfile", 2, "requirement")]


def test_what_django_changed(found: Find) -> None:
    module = """\
        from django.conf.urls import include, url
        from django.core.urlresolvers import reverse
        from django.utils import six, timezone
        from django.utils.six.moves import urllib
        from django.utils.encoding import force_text, force_bytes
        from django.utils.translation import ugettext_lazy as _
        from django.shortcuts import render
        import django.utils.six as six

        class Room(models.Model):
            owner = models.ForeignKey("auth.User")
            site = models.OneToOneField(Site, related_name="x")
            fine = models.ForeignKey("auth.User", models.CASCADE)
            also = models.ForeignKey("auth.User", on_delete=models.CASCADE)
            what = models.ForeignKey("auth.User", **options)
            other = serializers.ForeignKey("auth.User")

            class Meta:
                index_together = [["a", "b"]]

        def view(request):
            if request.user.is_authenticated() and not request.user.is_anonymous:
                return request.is_ajax()
    """
    template = "{% load i18n staticfiles %}\n{% load static %}\n{% load url from future %}\n"
    assert found(**{"chat/models.py": module, "chat/templates/chat.html": template}) == [
        ("chat/models.py", 1, "django-name"),
        ("chat/models.py", 1, "django-name"),
        ("chat/models.py", 2, "django-name"),
        ("chat/models.py", 3, "django-name"),
        ("chat/models.py", 4, "django-name"),
        ("chat/models.py", 5, "django-name"),
        ("chat/models.py", 6, "django-name"),
        ("chat/models.py", 8, "django-name"),
        ("chat/models.py", 11, "django-model"),
        ("chat/models.py", 12, "django-model"),
        ("chat/models.py", 19, "django-model"),
        ("chat/models.py", 22, "django-user"),
        ("chat/models.py", 23, "django-request"),
        ("chat/templates/chat.html", 1, "django-template"),
        ("chat/templates/chat.html", 3, "django-template"),
    ]


def test_files_that_are_not_python_3(found: Find) -> None:
    assert found(**{"chat/old.py": "x = 1\nprint 'a'\n", "chat/odd.py": "\0"}) == [
        ("chat/odd.py", 1, "python-3"),
        ("chat/old.py", 2, "python-3"),
    ]


def test_imports_of_neighbouring_modules(found: Find) -> None:
    module = """\
        import signals
        from serializers import RoomSerializer
        from serializers.rooms import RoomSerializer
        import json, chat.signals
        from . import signals
        from top import anything
    """
    beside = {
        "chat/__init__.py": "",
        "chat/signals.py": "",
        "chat/serializers/__init__.py": "",
        "chat/json.py": "",
    }
    assert found(**beside, **{"chat/models.py": module, "chat/top.py": "", "top.py": "import chat"}) == [
        ("chat/models.py", 1, "python-3"),
        ("chat/models.py", 2, "python-3"),
        ("chat/models.py", 3, "python-3"),
    ]


def test_more_that_django_changed(found: Find) -> None:
    urls = """\
        from django.urls import include, re_path
        urlpatterns = [
            re_path("^admin/", include(admin.site.urls)),
            re_path("^admin/", admin.site.urls),
            re_path("^chat/", include("chat.urls")),
            re_path("^login/$", "django.contrib.auth.views.login"),
            re_path("^logout/$", views.logout),
        ]
        changed = Signal(providing_args=["room"])
        fine = Signal()
        @register.assignment_tag
        def a(): ...
        @register.assignment_tag(takes_context=True)
        def b(context): ...
        MIDDLEWARE = ["django.contrib.auth.middleware.SessionAuthenticationMiddleware", "chat.Middleware"]
    """
    assert [line for _, line, _ in found(**{"chat/urls.py": urls})] == [3, 6, 9, 11, 13, 15]


@pytest.mark.parametrize(
    ("name", "lines"),
    [("chat.apps.ChatConfig", []), ("chat.app.ChatConfig", [1]), ("chat.ChatConfig", [1])],
)
def test_the_configuration_of_an_app(found: Find, name: str, lines: list[int]) -> None:
    assert [line for _, line, _ in found(**{"chat/__init__.py": f"default_app_config = {name!r}\n"})] == lines


def test_folders_of_other_peoples_code_are_left_alone(found: Find) -> None:
    old = "from channels import Nothing\n"
    files = dict.fromkeys(("node_modules/a.py", ".tox/a.py", "build/a.py", "py3/lib/a.py", "large.py"), old)
    files["py3/pyvenv.cfg"] = ""
    files["large.py"] += "#" * 1_000_000
    assert found(**files) == []


@given(st.text(), st.text(max_size=40))
def test_nothing_in_a_project_ends_the_check(text: str, more: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in ("manage.py", "requirements.txt", "Procfile", "page.html"):
            Path(folder, name).write_text(f"{text}\n{more}", errors="replace")
        find(Path(folder))


def test_all_options_of_daphne_are_in_the_documentation() -> None:
    page = Path("docs/legacy.md").read_text()
    for option in OPTIONS:
        assert f"`{option}" in page, option


class TestCommands:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "Procfile").write_text("web: daphne a.asgi:channel_layer\n")
        return tmp_path

    def test_by_manage(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as exit:
            call_command("legacycheck", str(folder))
        assert exit.value.code == 1
        printed = capsys.readouterr().out
        assert "Procfile:1: The program daphne cannot serve" in printed
        assert "1 place has to change." in printed
        (folder / "Procfile").unlink()
        call_command("legacycheck", str(folder))
        assert capsys.readouterr().out == "Nothing was found that has to change.\n"
        with pytest.raises(CommandError, match="is not a folder"):
            call_command("legacycheck", str(folder / "elsewhere"))

    def test_by_python(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["--json", str(folder)]) == 1
        [finding] = json.loads(capsys.readouterr().out)
        assert finding.keys() == {"file", "line", "rule", "cause", "remedy"}
        assert (finding["file"], finding["line"], finding["rule"]) == ("Procfile", 1, "daphne")
        (folder / "Procfile").unlink()
        assert main([str(folder)]) == 0
        with pytest.raises(SystemExit) as exit:
            main([str(folder / "elsewhere")])
        assert exit.value.code == 2
