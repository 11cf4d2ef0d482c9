from pathlib import Path

import pytest

from images import ramdisk_recipe, ramdisk_tree


def test_imports_of_a_package(tmp_path):
    package = tmp_path / "agent"
    package.mkdir()
    (package / "a.py").write_text(
        "import os.path, json\nfrom agent import b\nfrom . import c\nfrom xml.dom import minidom\n"
    )
    (package / "b.py").write_text("def f():\n    import gzip\n")
    found = ramdisk_tree.imported_modules(package)
    assert found == ["gzip", "json", "os.path", "xml.dom", "xml.dom.minidom"]


def test_a_missing_program_is_named(tmp_path):
    with pytest.raises(ramdisk_tree.RecipeBroken, match="busybox"):
        ramdisk_tree.programs(tmp_path, tmp_path / "python3.11")


def test_the_recipe_names_nothing_twice():
    for table in (
        ramdisk_recipe.PACKAGES,
        ramdisk_recipe.PROGRAMS,
        ramdisk_recipe.MODULES,
        ramdisk_recipe.BUSYBOX_NAMES,
    ):
        assert len(table) == len(set(table))


def test_the_agent_imports_the_standard_library_only():
    import sys

    names = ramdisk_tree.imported_modules(Path(__file__).parents[2] / "agent")
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names
