"""Finds problems in how the project is started and installed: Procfiles, scripts, units, proxies, requirements."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from channels_classic.legacycheck.finding import Finding
from channels_classic.legacycheck.project import Project, SourceFile

SUFFIXES = (".cfg", ".conf", ".env", ".ini", ".service", ".sh", ".toml", ".yaml", ".yml")
NAMES = ("Dockerfile", "Makefile", "Procfile", "docker-compose")

OPTIONS = {
    "-b": "-b",
    "--bind": "--bind",
    "-p": "-p",
    "--port": "--port",
    "-u": "-u",
    "--unix-socket": "--unix-socket",
    "--fd": "--fd",
    "-t": "-t",
    "--http-timeout": "--http-timeout",
    "--access-log": "--access-log",
    "--ping-interval": "--ping-interval",
    "--ping-timeout": "--ping-timeout",
    "--ws-protocol": "--ws-protocol, once for each protocol",
    "--root-path": "--root-path",
    "--proxy-headers": "--proxy-headers (with --trusted-proxies, if the proxy is on another machine)",
    "--websocket_timeout": "--websocket-timeout",
    "--websocket-timeout": "--websocket-timeout",
    "--websocket_connect_timeout": "--websocket-handshake-timeout",
    "--websocket-connect-timeout": "--websocket-handshake-timeout",
    "-v": "-v (without a number; -v 2 is -vv)",
    "--verbosity": "-v (without a number; 2 is -vv)",
    "-e": "--bind, --port, --unix-socket, and --ssl-keyfile with --ssl-certfile",
    "--endpoint": "--bind, --port, --unix-socket, and --ssl-keyfile with --ssl-certfile",
    "--force-sync": "nothing: leave it out",
    "--server-name": "nothing: leave it out",
    "-s": "nothing: leave it out",
}
"""The options of ``daphne``, and those of ``channels-interface`` that replace them."""

DAPHNE = re.compile(r"(?:^|[\s/\"'=\[,])daphne(?=$|[\s\"',\]])(.*)")

PACKAGES = {
    "asgi_ipc": "Remove it: nothing needs it any more.",
    "asgi_rabbitmq": "Remove it: nothing needs it any more.",
    "asgi_redis": "Remove it: the Redis layer comes with channels-classic.",
    "asgiref": "Remove the version: Django brings the one it needs.",
    "channels": "Remove it, and add channels-classic. With it in the list pip takes Django down to 2.2.",
    "daphne": "Remove it: the server comes with channels-classic, as channels-interface.",
    "django": "Allow a Django that channels-classic supports: Django>=5.2.",
}
"""Packages from the time of Channels 1, and what to do with their lines."""

REQUIREMENT = re.compile(
    r"^\s*['\"]?([A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*(?:=\s*['\"])?((?:[=<>!~]=?=?\s*[\w.*]+[,\s]*)*)"
)
OLD_LINES = {"asgiref": 3, "channels": 2, "daphne": 2, "django": 5}
"""The first major version from after that time."""


def check(project: Project) -> Iterator[Finding]:
    """Look at all files of the project that are not Python."""
    for file in project.files:
        name = PurePosixPath(file.name).name
        if name.endswith(SUFFIXES) or name.startswith(NAMES) or "nginx" in file.name:
            yield from _check_program(file)
        if re.fullmatch(r"(.*requirements.*|constraints)\.(txt|in|pip)|Pipfile", name) or (
            "requirements/" in file.name and name.endswith((".txt", ".in", ".pip"))
        ):
            yield from _check_requirements(file)


def _check_program(file: SourceFile) -> Iterator[Finding]:
    for number, line in enumerate(file.lines, 1):
        code = line.split("#", 1)[0]
        if "daphne-root-path" in code.lower():
            yield file.finding(
                number,
                "daphne-root-path",
                "The header Daphne-Root-Path is not believed: any client could send it.",
                "Start channels-interface with --root-path, and let the proxy pass paths on as they came.",
            )
        elif (found := DAPHNE.search(code)) and ":" in found[1]:
            yield file.finding(
                number,
                "daphne",
                "The program daphne cannot serve a channel layer any more.",
                f"Start channels-interface instead. {_options(found[1])}",
            )


def _options(arguments: str) -> str:
    words = re.findall(r"(?:^|[\s\"',])(--[\w-]+|-[a-z])", arguments)
    new_names = {word: OPTIONS.get(word, "unknown") for word in words}
    changed = [f"{old} is {new}" for old, new in new_names.items() if old != new]
    return f"Of its options, {'; '.join(changed)}." if changed else "Its options stay as they are."


def _check_requirements(file: SourceFile) -> Iterator[Finding]:
    for number, line in enumerate(file.lines, 1):
        found = REQUIREMENT.match(line)
        if found is None or line.lstrip().startswith(("#", "-")):
            continue
        package = re.sub(r"[-_.]+", "_", found[1]).lower()
        if package in PACKAGES and _is_old(package, found[2]):
            yield file.finding(
                number,
                "requirement",
                f"{(found[1] + found[2]).strip()!r} is of the time of Channels 1.",
                PACKAGES[package],
            )


def _is_old(package: str, versions: str) -> bool:
    """Whether a requirement excludes today's versions."""
    if package not in OLD_LINES:
        return True
    limits = [(operator, int(major)) for operator, major in re.findall(r"(===?|<=?|~=|>=?)\s*(\d+)", versions)]
    if package == "channels" and (not limits or any(major < 2 for _, major in limits)):
        return True
    return any(
        (operator in ("==", "===", "~=", "<=") and major < OLD_LINES[package])
        or (operator == "<" and major <= OLD_LINES[package])
        for operator, major in limits
    )
