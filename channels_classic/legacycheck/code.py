"""Finds consumers and messages that Channels 1 accepted and this project does not."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from channels_classic.legacycheck.finding import Finding
from channels_classic.legacycheck.project import Project, SourceFile

SENDS = ("group_send", "send", "send_group")
BINDINGS = {"WebsocketBinding", "WebsocketBindingWithMembers"}
OLD_DELAY_CHANNEL = "channels.delay"


def check(project: Project) -> Iterator[Finding]:
    """Look at all modules of the project."""
    for file in project.modules:
        for node in ast.walk(file.tree):
            if isinstance(node, ast.ClassDef):
                yield from _check_class(file, node)
            elif isinstance(node, ast.Call):
                yield from _check_call(file, node)
    for name in ("worker", "interface_server"):
        for path in (f"{name}.py", f"{name}/__init__.py"):
            if any(file.name == path for file in project.modules):
                yield Finding(
                    path,
                    1,
                    "module-name",
                    f"channels-classic has a package {name!r} too, and Python can import only one of the two.",
                    f"Rename this one, or move it into a package, as myproject/{name}.py.",
                )


def _check_class(file: SourceFile, node: ast.ClassDef) -> Iterator[Finding]:
    bases = {getattr(base, "attr", getattr(base, "id", "")) for base in node.bases}
    if not bases & BINDINGS:
        return
    assigned = {
        target.id: each
        for each in node.body
        if isinstance(each, ast.Assign)
        for target in each.targets
        if isinstance(target, ast.Name)
    }
    if "model" in assigned and not assigned.keys() & {"fields", "exclude"}:
        yield file.finding(
            node.lineno,
            "binding",
            f"The binding {node.name!r} has neither fields nor exclude.",
            "Set fields to the names of the fields that clients may see, or to ['__all__'].",
        )


def _check_call(file: SourceFile, call: ast.Call) -> Iterator[Finding]:
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    if name == "Channel" and call.args and _constant(call.args[0]) == OLD_DELAY_CHANNEL:
        yield file.finding(
            call.lineno,
            "delay-channel",
            f"{OLD_DELAY_CHANNEL!r} was the delay server's channel in Channels 1.0, with seconds.",
            "Send to 'asgi.delay', with the delay in milliseconds. There is no interval.",
        )
    if name in SENDS and isinstance(call.func, ast.Attribute):
        for argument in [*call.args, *(keyword.value for keyword in call.keywords)]:
            if isinstance(argument, ast.Dict):
                yield from _check_content(file, argument)


def _check_content(file: SourceFile, content: ast.Dict) -> Iterator[Finding]:
    for node in ast.walk(content):
        for key in node.keys if isinstance(node, ast.Dict) else ():
            value = _constant(key)
            if key is not None and value is not Ellipsis and not isinstance(value, str):
                is_int = isinstance(value, int) and not isinstance(value, bool)
                yield file.finding(
                    key.lineno,
                    "message-key",
                    f"A message has the key {value!r}, and keys of messages are str."
                    + (" With the legacy import it is carried, to processes that have it too." if is_int else ""),
                    f"Write {str(value)!r}, and str(key) where it is made.",
                )
        if isinstance(node, (ast.Set, ast.SetComp)):
            yield file.finding(
                node.lineno, "message-value", "A message cannot hold a set.", "Send a list: list(…)."
            )


def _constant(node: ast.AST | None) -> object:
    """The value of a constant; ``...`` for anything else."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        value = node.operand.value
        return -value if isinstance(value, (int, float)) else Ellipsis
    return () if isinstance(node, ast.Tuple) else Ellipsis
