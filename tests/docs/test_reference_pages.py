"""The pages that list settings, options and checks list all of them, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from django.core.management import load_command_class

from interface_server.program.cli import main as interface
from tests.project import REPOSITORY
from worker.cli import main as worker

DOCS = REPOSITORY / "docs"
PACKAGES = ("channels_classic", "interface_server", "worker")
OF_DJANGO = {
    "--version", "--verbosity", "--settings", "--pythonpath", "--traceback", "--no-color", "--force-color",
    "--skip-checks", "--help", "--ipv6", "--nothreading", "--noreload", "--nostatic", "--insecure",
}  # fmt: skip


def source() -> Iterator[Path]:
    for package in PACKAGES:
        yield from (REPOSITORY / package).rglob("*.py")


def section(page: str, heading: str) -> str:
    text = (DOCS / page).read_text()
    found = re.search(rf"^## `?{re.escape(heading)}`?\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"docs/{page} has no section {heading!r}."
    return found[1]


def options_in(text: str) -> set[str]:
    return set(re.findall(r"^\| `(--[\w-]+)", text, re.MULTILINE))


@pytest.mark.parametrize("program", [interface, worker], ids=["channels-interface", "channels-worker"])
def test_the_options_of_programs(program: click.Command) -> None:
    name = {interface: "channels-interface", worker: "channels-worker"}[program]
    options = {
        max(each.opts, key=len): each.help
        for each in program.params
        if isinstance(each, click.Option) and not each.hidden
    }
    assert options_in(section("commands.md", name)) == set(options)


@pytest.mark.parametrize("program", [interface, worker], ids=["channels-interface", "channels-worker"])
def test_the_values_and_defaults_of_options(program: click.Command) -> None:
    name = {interface: "channels-interface", worker: "channels-worker"}[program]
    rows = re.findall(r"^\| `(--[\w-]+) ?([^`]*)` \| (?:`(.*?)`)? ?\|", section("commands.md", name), re.MULTILINE)
    listed = {option: (value, default) for option, value, default in rows}
    expected = {}
    with click.Context(program) as context:
        for each in program.params:
            if isinstance(each, click.Option) and (option := max(each.opts, key=len)) in listed:
                takes_value = not (each.is_flag or each.count)
                default = each.get_default(context)
                shown = " ".join(default) if isinstance(default, tuple) else default
                expected[option] = (
                    each.make_metavar(context) if takes_value else "",
                    "" if shown is None or not takes_value else str(shown),
                )
    assert listed == expected


@pytest.mark.parametrize(
    ("app", "name"),
    [
        ("channels_classic", "runserver"),
        ("channels_classic", "runworker"),
        ("channels_classic", "channels"),
        ("channels_classic", "legacycheck"),
        ("channels_classic.delay", "rundelay"),
    ],
)
def test_the_options_of_commands(app: str, name: str) -> None:
    parser = load_command_class(app, name).create_parser("manage.py", name)
    options = {
        next(o for o in each.option_strings if o.startswith("--"))
        for each in parser._actions
        if each.option_strings
    }
    listed = options_in(section("commands.md", f"manage.py {name}"))
    if name == "runworker":  # Its section refers to that of the program for all the others.
        listed |= options_in(section("commands.md", "channels-worker"))
    assert listed - OF_DJANGO - {"--verbose"} == options - OF_DJANGO


def test_all_commands_are_there() -> None:
    files = [file for file in source() if file.parent.name == "commands" and file.stem != "__init__"]
    for file in files:
        section("commands.md", f"manage.py {file.stem}")


def test_the_checks() -> None:
    used = {found for file in source() for found in re.findall(r'id="(channels\.[EW]\d{3})"', file.read_text())}
    listed = set(re.findall(r"^\| `(channels\.[EW]\d{3})`", (DOCS / "settings.md").read_text(), re.MULTILINE))
    assert listed == used


def test_the_settings() -> None:
    used = {
        found
        for file in source()
        for found in re.findall(r'(?:settings\.|settings, "|_SETTING = ")(CHANNELS?_[A-Z_]+)', file.read_text())
    }
    listed = set(re.findall(r"^\| `(CHANNELS?_[A-Z_]+)`", (DOCS / "settings.md").read_text(), re.MULTILINE))
    assert listed == used
