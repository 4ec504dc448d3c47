"""What the app serves is what its sources give, and the package for npm is complete."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.project import REPOSITORY

JS = REPOSITORY / "js"
STATIC = REPOSITORY / "channels_classic/static"
BUILT = (
    "channels/js/websocketbridge.js",
    "channels_classic/js/websocketbridge.d.ts",
    "channels_classic/js/websocketbridge.js",
    "channels_classic/js/websocketbridge.mjs",
)
SOURCES = ("build.mjs", "package-lock.json", "src/websocketbridge.d.ts", "src/websocketbridge.js")


def test_it_was_built_from_the_sources_as_they_are() -> None:
    """If not: ``make js``."""
    digest = hashlib.sha256(b"".join((JS / name).read_bytes() for name in SOURCES)).hexdigest()
    for name in BUILT:
        if not name.endswith(".d.ts"):
            assert digest in (STATIC / name).read_text()
    assert (STATIC / "channels_classic/js/websocketbridge.d.ts").read_text() == (
        JS / "src/websocketbridge.d.ts"
    ).read_text()


def test_the_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None or not (JS / "node_modules/esbuild").exists():
        if os.environ.get("REQUIRE_NODE") == "1":
            pytest.fail("No Node, or no js/node_modules: run 'make js'.", pytrace=False)
        pytest.skip("No Node, or no js/node_modules: run 'make js'.")
    subprocess.run([node, "build.mjs", tmp_path], cwd=JS, check=True, timeout=60)
    for name in BUILT:
        assert (tmp_path / name).read_bytes() == (STATIC / name).read_bytes(), name


def test_the_old_path_is_the_same_script() -> None:
    assert (STATIC / BUILT[0]).read_bytes() == (STATIC / BUILT[2]).read_bytes()


def test_the_licence_of_what_is_bundled_is_in_it() -> None:
    packages = json.loads((JS / "package-lock.json").read_text())["packages"]
    version = packages["node_modules/partysocket"]["version"]
    for name in ("channels_classic/js/websocketbridge.js", "channels_classic/js/websocketbridge.mjs"):
        text = (STATIC / name).read_text()
        assert f"It contains partysocket {version}, MIT License" in text
        assert "The above copyright notice and this permission notice shall be included" in text


def test_the_lock_file_names_no_host() -> None:
    lock = (JS / "package-lock.json").read_text()
    assert "resolved" not in lock
    assert not re.search(r"https?://", lock)


def test_the_package_for_npm() -> None:
    package = json.loads((JS / "package.json").read_text())
    [exported] = package["exports"].values()
    for path in (*exported.values(), package["types"]):
        assert (JS / path).exists()
        assert path.removeprefix("./").split("/")[0] in package["files"]
    assert package["license"] == "BSD-3-Clause"
