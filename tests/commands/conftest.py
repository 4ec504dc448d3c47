"""A project as ``django-admin startproject`` makes it, with our app added."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.project import Project, Site

VIEWS = """\
    import hashlib
    import threading

    from django.contrib import admin
    from django.http import HttpResponse, HttpResponseRedirect, JsonResponse, StreamingHttpResponse
    from django.urls import path

    barrier = threading.Barrier(2)


    def boom(request):
        secret_of_the_frame = "visible in the error page"
        raise ValueError("a bug in the view")


    def meta(request):
        names = ["REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "CONTENT_LENGTH", "REMOTE_ADDR", "SERVER_PROTOCOL"]
        # Without content, Django's server makes a type up.
        if request.META.get("CONTENT_LENGTH", "") not in ("", "0"):
            names.append("CONTENT_TYPE")
        shown = {name: request.META.get(name) for name in names}
        shown |= {name: value for name, value in request.META.items() if name.startswith("HTTP_")}
        return JsonResponse(
            {
                "META": {name: str(value or "") for name, value in shown.items()},
                "path": request.path,
                "full": request.get_full_path(),
                "absolute": request.build_absolute_uri(),
                "GET": dict(request.GET),
                "POST": dict(request.POST),
                "COOKIES": request.COOKIES,
                "FILES": {
                    name: [file.name, file.content_type, file.size, hashlib.sha256(file.read()).hexdigest()]
                    for name, file in request.FILES.items()
                },
            },
            json_dumps_params={"sort_keys": True},
        )


    meta.csrf_exempt = True


    def together(request):
        try:
            barrier.wait(float(request.GET["seconds"]))
        except threading.BrokenBarrierError:
            return HttpResponse("alone")
        return HttpResponse("together")


    def stream(request):
        return StreamingHttpResponse(f"part {number}\\n" for number in range(100))


    def cookies(request):
        response = HttpResponseRedirect("/meta/", headers={"X-One": "1"})
        response.set_cookie("first", "1", max_age=60)
        response.set_cookie("second", "a b;c", httponly=True)
        return response


    urlpatterns = [
        path("admin/", admin.site.urls),
        path("boom/", boom),
        path("meta/", meta),
        path("together/", together),
        path("stream/", stream),
        path("cookies/", cookies),
        path("big/", lambda request: HttpResponse(b"x" * 1_500_000)),
        path("empty/", lambda request: HttpResponse(status=204)),
        path("caf\u00e9 olé/", lambda request: HttpResponse(request.path)),
    ]
"""

DATA = """\
from django.contrib.auth.models import Group, User
User.objects.create_superuser("admin", password="secret")
Group.objects.create(name="Writers")
"""


def make_project(folder: Path) -> Project:
    """What a developer has after ``startproject``, the app in the settings, and ``migrate``."""
    project = Project(folder)
    assert project.python("-m", "django", "startproject", "mysite", str(folder)).returncode == 0
    with (folder / "mysite" / "settings.py").open("a") as settings:
        settings.write('\nINSTALLED_APPS += ["channels_classic"]\n')
        settings.write('PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]\n')
    return project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project, with some views and an administrator."""
    project = make_project(tmp_path_factory.mktemp("project"))
    project.write(
        {
            "mysite/urls.py": VIEWS,
            "mysite/production.py": "from .settings import *\nDEBUG = False\nALLOWED_HOSTS = ['*']\n",
        }
    )
    project.manage("migrate", "--verbosity=0")
    project.manage("shell", "--command", DATA)
    return project


@contextmanager
def served(project: Project, *options: str, log: str = "server.txt") -> Iterator[Site]:
    """The project under ``runserver`` with these options, answering, until the end of the block."""
    port = free_port()
    with (
        project.running("runserver", *options, f"127.0.0.1:{port}", log=log) as server,
        Site(port, server) as site,
    ):
        server.wait(site.listens)
        yield site


@pytest.fixture(scope="module")
def site(project: Project) -> Iterator[Site]:
    """The project under our server."""
    with served(project, "--noreload") as site:
        yield site


@pytest.fixture(scope="module")
def plain(project: Project) -> Iterator[Site]:
    """The same project, served by Django alone."""
    with served(project, "--noreload", "--noasgi", log="plain.txt") as site:
        yield site
