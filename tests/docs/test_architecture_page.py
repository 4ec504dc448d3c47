"""``docs/architecture.md`` names only files that exist."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.project import REPOSITORY

PAGE = (REPOSITORY / "docs" / "architecture.md").read_text()
PATHS = sorted(set(re.findall(r"`((?:[a-z_]+/)+[a-z_]+(?:\.py|\.lua)?|[a-z_]+\.(?:py|lua))`", PAGE)))


@pytest.mark.parametrize("path", PATHS)
def test_the_files_that_it_names_are_there(path: str) -> None:
    packages = [REPOSITORY / package for package in ("channels_classic", "interface_server", "worker")]
    assert (REPOSITORY / path).exists() or [found for package in packages for found in package.rglob(path)]


def test_every_package_has_its_line() -> None:
    for package in ("channels_classic", "interface_server"):
        for init in (REPOSITORY / package).glob("*/__init__.py"):
            name = f"{package}/{init.parent.name}"
            if name not in ("channels_classic/management", "channels_classic/security"):
                assert f"`{name}`" in PAGE, name


def test_every_folder_of_the_repository_has_its_line() -> None:
    files = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    folders = {file.split("/")[0] for file in files.splitlines() if "/" in file}
    assert folders
    assert {
        folder for folder in folders if not re.search(rf"^\| `{re.escape(folder)}[`/]", PAGE, re.MULTILINE)
    } == set()
