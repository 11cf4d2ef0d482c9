"""What we ship with: no stranger under our names, no licence that ours cannot live with, no test tool at run time."""

import ast
import importlib.metadata
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
OURS = ("appliance", "pxe", "bmc", "images", "webui", "agent")
TEST_ONLY = {"scapy", "tftpy", "hypothesis", "pytest"}
# Apache-2.0 may be combined with these. psycopg is LGPL, used as a library by import; pycdlib likewise (LGPL-2.1-only).
COMPATIBLE = re.compile(
    r"(?i)\b(mit|0?bsd|apache|isc|psf|python software foundation|mpl|mozilla|lesser general public|lgpl|unlicense|zlib)"
)
INCOMPATIBLE = re.compile(r"(?i)(?<!lesser )(?<!lesser gnu )\b(a?gpl|affero|gnu general public)")


def runtime_distributions() -> set[str]:
    """Our declared dependencies and everything that they need here."""
    found: set[str] = set()
    waiting = [Requirement(text) for text in importlib.metadata.requires("rackwright") or ()]
    while waiting:
        requirement = waiting.pop()
        name = requirement.name.lower().replace("_", "-")
        environments = [{"extra": extra} for extra in (*requirement.extras, "")]
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        found.add(name)
        for text in importlib.metadata.requires(name) or ():
            needed = Requirement(text)
            if needed.marker is None or any(needed.marker.evaluate(one) for one in environments):
                needed.marker = None
                waiting.append(needed)
    return found


def licence_of(name: str) -> str:
    facts = importlib.metadata.metadata(name)
    classifiers = [text for text in facts.get_all("Classifier") or () if text.startswith("License ::")]
    short = (facts.get("License") or "").partition("\n")[0]
    return " | ".join(filter(None, (facts.get("License-Expression"), *classifiers, short)))


def test_no_stranger_owns_one_of_our_names():
    """That the wheel owns all six is tested beside it; an editable install has no file list to look at."""
    owners = importlib.metadata.packages_distributions()
    assert {name: set(owners.get(name, ())) - {"rackwright"} for name in OURS} == {name: set() for name in OURS}


def test_the_list_of_dependencies_is_found():
    assert {"flask", "sqlalchemy", "cryptography", "werkzeug", "psycopg-binary"} <= runtime_distributions()


@pytest.mark.parametrize("name", sorted(runtime_distributions()))
def test_licences(name: str):
    licence = licence_of(name)
    assert COMPATIBLE.search(licence), f"{name}: {licence!r} is not known to suit Apache-2.0"
    assert not INCOMPATIBLE.search(licence), f"{name}: {licence!r}"


def imported() -> Iterator[tuple[Path, str]]:
    for package in OURS:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    yield from ((path, alias.name.partition(".")[0]) for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    yield path, node.module.partition(".")[0]


def test_test_tools_are_imported_in_tests_only():
    assert [(str(path), name) for path, name in imported() if name in TEST_ONLY | {"tests"}] == []


def test_everything_imported_is_declared():
    declared = {Requirement(text).name.lower() for text in importlib.metadata.requires("rackwright") or ()}
    owners = importlib.metadata.packages_distributions()
    foreign = {name for _, name in imported()} - set(sys.stdlib_module_names) - set(OURS)
    undeclared = {name for name in foreign if not {owner.lower() for owner in owners.get(name, (name,))} & declared}
    # werkzeug is Flask's own other half; its version is Flask's to choose.
    assert undeclared - {"werkzeug"} == set()
