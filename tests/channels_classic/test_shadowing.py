"""A project with a module of its own that has the name of one of our packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.project import MANAGE, Project

SETTINGS = """\
    SECRET_KEY = "for tests"
    INSTALLED_APPS = ["channels_classic"]
    ROOT_URLCONF = "myproject.settings"
    urlpatterns = []
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    manage = MANAGE.replace("import channels_classic.legacy\n", "")
    return Project(tmp_path, {"manage.py": manage, "myproject/__init__.py": "", "myproject/settings.py": SETTINGS})


@pytest.mark.parametrize("file", ["worker.py", "worker/__init__.py", "interface_server.py"])
@pytest.mark.parametrize("command", [("runserver", "--noreload", "0"), ("runserver", "0"), ("runworker",)])
def test_it_is_named_at_start_with_the_way_out(project: Project, file: str, command: tuple[str, ...]) -> None:
    project.write({file: ""})
    done = project.python("manage.py", *command)
    name = file.split("/")[0].removesuffix(".py")
    assert done.returncode
    error = done.stderr.strip().splitlines()[-1]
    assert error.startswith("django.core.exceptions.ImproperlyConfigured: ")
    assert f"a module of its own named {name!r}, at {project.folder / file}" in error
    assert f"move it into a package, as myproject/{name}" in error


def test_a_module_of_that_name_inside_a_package_is_fine(project: Project) -> None:
    project.write({"myproject/worker.py": "", "myproject/interface_server.py": ""})
    project.manage("check")


def test_channels_worker_sees_it_too(project: Project) -> None:
    """Though its own import of ``worker`` came first."""
    project.write({"worker.py": ""})
    script = "import worker, sys; sys.path.insert(0, '.'); import django; django.setup()"
    project.environment["DJANGO_SETTINGS_MODULE"] = "myproject.settings"
    done = project.python("-P" if hasattr(__import__("sys").flags, "safe_path") else "-E", "-c", script)
    assert "a module of its own named 'worker'" in done.stderr
