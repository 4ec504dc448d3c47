"""The imports between modules form no circle, including those for type checking and those at run time."""

import ast
import graphlib
from pathlib import Path

import grimp

PACKAGES = ("channels_classic", "interface_server", "worker")
HOME = Path(__file__).resolve().parent.parent


def test_no_import_circle():
    """This is stricter than the contract of import-linter, which ignores the ``__init__`` of packages."""
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=False, cache_dir=None)
    imports = {
        module: set(graph.find_modules_directly_imported_by(module)) | imported_by_name(module)
        for module in graph.modules
    }
    assert list(graphlib.TopologicalSorter(imports).static_order())


def imported_by_name(module: str) -> set[str]:
    """The modules that ``module`` gives to ``import_module`` as literals."""
    path = HOME.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return {
        node.args[0].value
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "import_module"
        and isinstance(node.args[0], ast.Constant)
    }
