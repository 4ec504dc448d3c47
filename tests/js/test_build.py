"""The files that the app serves are built from the present sources, and the package for npm is complete."""

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
    "channels_classic/js/websocketbridge.d.mts",
    "channels_classic/js/websocketbridge.d.ts",
    "channels_classic/js/websocketbridge.js",
    "channels_classic/js/websocketbridge.mjs",
)
SOURCES = ("build.mjs", "package-lock.json", "src/websocketbridge.d.ts", "src/websocketbridge.js")


def test_it_was_built_from_the_sources_as_they_are() -> None:
    """If not: ``make js``."""
    digest = hashlib.sha256(b"".join((JS / name).read_bytes() for name in SOURCES)).hexdigest()
    for name in BUILT:
        if ".d." in name:
            assert (STATIC / name).read_text() == (JS / "src/websocketbridge.d.ts").read_text()
        else:
            assert digest in (STATIC / name).read_text()


def node_with(package: str) -> str:
    """The path of Node, with a package of ``js/``. Skips or fails the test if one is missing."""
    node = shutil.which("node")
    if node is None or not (JS / "node_modules" / package).exists():
        reason = f"No Node, or no js/node_modules/{package}: run 'make js'."
        if os.environ.get("REQUIRE_NODE") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return node


def test_the_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    subprocess.run([node_with("esbuild"), "build.mjs", tmp_path], cwd=JS, check=True, timeout=60)
    for name in BUILT:
        assert (tmp_path / name).read_bytes() == (STATIC / name).read_bytes(), name


MODULE = """\
import { Callback, Options, WebSocketBridge } from "./static/channels_classic/js/websocketbridge.mjs";
const options: Options = { maxRetries: 3, shouldReconnectOnClose: (event) => event.code !== 4000 };
const bridge = new WebSocketBridge(options);
bridge.connect("/chat/", ["chat"], { debug: true });
const listener: Callback = (payload, stream) => console.log(payload.text, stream?.length);
bridge.listen(listener);
bridge.demultiplex("rows", (payload, stream) => console.log(payload, stream.length));
const sent: boolean = bridge.send({ text: "hello" }) && bridge.stream("rows").send({ action: "create" });
bridge.socket?.addEventListener("close", (event) => console.log(event.code, event.reason, sent));
bridge.socket?.addEventListener("error", (event) => console.log(event.error));
bridge.socket?.addEventListener("message", (event) => console.log(event.data));
bridge.socket?.close(1000, "done");
if (bridge.socket?.readyState === WebSocket.OPEN) bridge.socket.onmessage = null;
// @ts-expect-error: a stream has a name
bridge.stream(1);
// @ts-expect-error: there is no such option
const wrong: Options = { maxTries: 3 };
"""
SCRIPT = """\
/// <reference path="./static/channels_classic/js/websocketbridge.d.ts" />
const bridge = new channels.WebSocketBridge();
bridge.listen((payload: any) => console.log(payload));
const socket: channels.Socket | null = bridge.socket;
"""
AS_PARTYSOCKET = """\
import ReconnectingWebSocket, { Options as PartysocketOptions } from "partysocket/ws";
import { Options, Socket } from "channels-classic";
const options = (ours: Required<Options>, theirs: Required<PartysocketOptions>): void => {
  const toOurs: Required<Options> = theirs;
  const toTheirs: Required<PartysocketOptions> = ours;
};
const socket = (theirs: ReconnectingWebSocket): Socket => theirs;
"""


def check_types(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.ts").write_text(text)
    node = node_with("typescript")
    arguments = ["--strict", "--noEmit", "--target", "es2022", "--lib", "es2022,dom", "--module", "esnext"]
    arguments += ["--moduleResolution", "bundler"]
    program = [node, str(JS / "node_modules/typescript/bin/tsc"), *arguments, *(f"{name}.ts" for name in files)]
    done = subprocess.run(program, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout


def test_the_types_need_no_other_package(tmp_path: Path) -> None:
    shutil.copytree(STATIC, tmp_path / "static")
    check_types(tmp_path, module=MODULE, script=SCRIPT)


def test_the_types_are_those_of_partysocket(tmp_path: Path) -> None:
    modules = tmp_path / "node_modules"
    modules.mkdir()
    (modules / "channels-classic").symlink_to(JS)
    (modules / "partysocket").symlink_to(JS / "node_modules/partysocket")
    check_types(tmp_path, same=AS_PARTYSOCKET)


def test_the_old_path_is_the_same_script() -> None:
    assert (STATIC / BUILT[0]).read_bytes() == (STATIC / "channels_classic/js/websocketbridge.js").read_bytes()


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
