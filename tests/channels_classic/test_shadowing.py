"""A project with a module of its own that has the name of one of our packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ports import free_port
from tests.project import MANAGE, Project

SETTINGS = """\
    SECRET_KEY = "for tests"
    DEBUG = True
    INSTALLED_APPS = ["channels_classic"]
    ROOT_URLCONF = "myproject.settings"
    urlpatterns = []
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path, {"manage.py": MANAGE, "myproject/__init__.py": "", "myproject/settings.py": SETTINGS})


@pytest.mark.parametrize("file", ["worker.py", "worker/__init__.py", "interface_server.py"])
@pytest.mark.parametrize("command", [("runserver", "--noreload", "0"), ("runworker",)])
def test_it_is_named_at_start_with_the_way_out(project: Project, file: str, command: tuple[str, ...]) -> None:
    project.write({file: ""})
    done = project.python("manage.py", *command)
    name = file.split("/")[0].removesuffix(".py")
    assert done.returncode
    error = done.stderr.strip().splitlines()[-1]
    assert error.startswith("django.core.exceptions.ImproperlyConfigured: ")
    assert f"a module of its own named {name!r}, at {project.folder / file}" in error
    assert f"move it into a package, as myproject/{name}" in error


def test_the_reloader_says_so_too(project: Project) -> None:
    """It goes on after an error, and waits until the developer repairs it."""
    project.write({"worker.py": ""})
    with project.running("runserver", f"127.0.0.1:{free_port()}") as server:
        server.wait("a module of its own named 'worker'")


def test_a_module_of_that_name_inside_a_package_is_fine(project: Project) -> None:
    project.write({"myproject/worker.py": "", "myproject/interface_server.py": ""})
    project.manage("check")


def test_ours_hides_theirs_where_it_was_imported_first(project: Project) -> None:
    """``channels-worker`` is such a case: it puts the project on the path when it is already running."""
    project.write({"project/worker.py": "", "project/myproject/settings.py": SETTINGS})
    project.environment["DJANGO_SETTINGS_MODULE"] = "myproject.settings"
    script = "import worker, sys; sys.path.insert(0, 'project'); import django; django.setup()"
    done = project.python("-c", script)
    assert f"a module of its own named 'worker', at {project.folder / 'project' / 'worker.py'}" in done.stderr
