"""The owner of ``runserver`` for each order of ``INSTALLED_APPS``."""

import json
import subprocess
import sys

import pytest
from django.apps import apps
from django.core.management import get_commands, load_command_class
from django.test import override_settings

from channels_classic import command_owners
from channels_classic.apps import ChannelsClassicConfig
from channels_classic.old_names import legacy_is_active

PROGRAM = """
import json, sys
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=json.loads(sys.argv[1]), SECRET_KEY="x")
django.setup()
from django.core.management import get_commands
print(get_commands()["runserver"])
"""


def whose_runserver(installed_apps, path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(installed_apps)],
        env={"PYTHONPATH": ":".join([str(path), *filter(None, sys.path)]), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def own_app(tmp_path):
    """An app of a project that has a ``runserver`` itself."""
    commands = tmp_path / "own" / "management" / "commands"
    commands.mkdir(parents=True)
    for folder in (commands, commands.parent, commands.parent.parent):
        (folder / "__init__.py").touch()
    (commands / "runserver.py").write_text("from django.core.management.commands.runserver import Command\n")
    return tmp_path


@pytest.mark.parametrize(
    "installed_apps",
    [
        ["channels_classic"],
        ["channels_classic", "django.contrib.staticfiles"],
        ["django.contrib.staticfiles", "channels_classic"],
        ["django.contrib.staticfiles", "channels_classic.apps.ChannelsClassicConfig"],
    ],
)
def test_ours_replaces_djangos(installed_apps, tmp_path):
    assert whose_runserver(installed_apps, tmp_path) == "channels_classic"


def test_ours_gives_way_to_that_of_an_app_in_front(own_app):
    apps_of_project = ["own", "django.contrib.staticfiles", "channels_classic"]
    assert whose_runserver(apps_of_project, own_app) == "own"


def test_ours_comes_before_that_of_an_app_behind(own_app):
    assert whose_runserver(["channels_classic", "own"], own_app) == "channels_classic"


def test_without_the_app_it_is_djangos(tmp_path):
    assert whose_runserver(["django.contrib.staticfiles"], tmp_path) == "django.contrib.staticfiles"


def test_the_command_is_found_by_django():
    """The settings of this process have staticfiles in front of our app."""
    config = apps.get_app_config("channels_classic")
    assert isinstance(config, ChannelsClassicConfig)
    owner = get_commands()["runserver"]
    # A test of this process may have imported the legacy package, before or after Django looked for commands.
    assert owner in (command_owners.OURS, command_owners.LEGACY)
    command = load_command_class(owner, "runserver")
    assert type(command).__module__ == f"{owner}.management.commands.runserver"


def test_it_is_ours_in_a_test_that_overrides_the_apps_and_behind_it():
    # Other tests of this process may have imported the legacy package, whose command is ours as well.
    ours = command_owners.LEGACY if legacy_is_active() else command_owners.OURS
    behind = ["django.contrib.contenttypes", "django.contrib.staticfiles", "channels_classic"]
    for _ in range(2):
        with override_settings(INSTALLED_APPS=behind):
            assert get_commands()["runserver"] == ours
            with override_settings(INSTALLED_APPS=["django.contrib.staticfiles"]):
                assert get_commands()["runserver"] == "django.contrib.staticfiles"
            assert get_commands()["runserver"] == ours
        assert get_commands()["runserver"] == ours
