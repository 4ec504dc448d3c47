"""The imports between modules, those for type checking and those inside functions included, form no circle."""

import graphlib

import grimp

PACKAGES = ("channels_classic", "interface_server", "worker")


def test_no_import_circle():
    """Stricter than the contract of import-linter, which does not look at the packages' own ``__init__``."""
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=False, cache_dir=None)
    imports = {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}
    assert list(graphlib.TopologicalSorter(imports).static_order())
