"""Lint of the promise: nothing in the six packages pretends. What is listed works, or is not listed."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("appliance", "pxe", "bmc", "images", "webui", "agent")
TEXTS = {".py", ".html", ".js", ".css", ".toml", ".service", ".sh", ".md", ".txt", ".mako"}
PLACEHOLDERS = re.compile(
    r"(?i)\b(TODO|FIXME|XXX|HACK)\b|\bnot (?:yet )?implemented\b|\bcoming soon\b|\blorem ipsum\b"
    r"|\bto be implemented\b|\bplaceholder (?:text|value|implementation)\b|\bunder construction\b"
)
# Words of the wire, not of ours.
ALLOWED = (
    "501 Not Implemented", '501: "Not Implemented"', "NOTIMP", "NOT_IMPLEMENTED", "(disabled or not implemented)",
)  # fmt: skip


def sources(suffixes: set[str]) -> Iterator[Path]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*")):
            if path.suffix in suffixes and "__pycache__" not in path.parts:
                yield path


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in sources({".py"}):
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def where(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def test_nothing_says_that_it_is_not_there_yet():
    found = []
    for path in sources(TEXTS):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            text = line
            for word in ALLOWED:
                text = text.replace(word, "")
            if PLACEHOLDERS.search(text):
                found.append(f"{where(path, number)}: {line.strip()[:100]}")
    assert found == []


def test_nothing_raises_not_implemented():
    """Catching a library's is no offence; ours must not exist. `return NotImplemented` is an operator's protocol."""
    found = []
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Raise) and node.exc is not None:
                raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
                if isinstance(raised, ast.Name) and raised.id in {"NotImplementedError", "NotImplemented"}:
                    found.append(where(path, node.lineno))
    assert found == []


def is_protocol(node: ast.ClassDef) -> bool:
    bases = {base.value if isinstance(base, ast.Subscript) else base for base in node.bases}
    return any(isinstance(base, ast.Name) and base.id == "Protocol" for base in bases)


def is_empty(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Only `pass` or `...`: a body that does nothing and does not even say so."""
    return all(
        isinstance(node, ast.Pass)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and node.value.value is Ellipsis)
        for node in function.body
    )


def test_no_function_is_an_empty_shell():
    """Outside Protocols and overloads. A function that means to do nothing says so in its docstring."""
    found = []
    for path, tree in trees():
        declared = {
            method
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef) and is_protocol(node)
            for method in node.body
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node not in declared:
                is_overload = any(isinstance(one, ast.Name) and one.id == "overload" for one in node.decorator_list)
                if is_empty(node) and not is_overload and "migrations" not in path.parts:
                    found.append(f"{where(path, node.lineno)} {node.name}")
    assert found == []


def calls_in_tests() -> Iterator[tuple[Path, ast.Call, str]]:
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield path, node, ast.unparse(node.func)


def test_no_test_is_skipped_without_a_reason():
    found = []
    for path, call, name in calls_in_tests():
        if name in {"pytest.skip", "pytest.mark.skip", "pytest.mark.skipif", "pytest.mark.xfail", "pytest.xfail"}:
            reasons = [keyword.value for keyword in call.keywords if keyword.arg in {"reason", "msg"}]
            reasons += call.args[:1] if name in {"pytest.skip", "pytest.xfail"} else []
            if not reasons or any(isinstance(one, ast.Constant) and len(str(one.value)) < 10 for one in reasons):
                found.append(where(path, call.lineno))
    assert found == []


@pytest.mark.parametrize("name", ["pytest.mark.skip", "pytest.mark.xfail"])
def test_no_bare_mark(name: str):
    pattern = re.compile(rf"@{re.escape(name)}\s*$")
    found = [
        where(path, number)
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == []


def test_no_machine_path_is_in_the_tree():
    """Paths of the machine that something was written on say nothing to anybody else."""
    pattern = re.compile(r"(?<![\w.])/(?:work|root|home/[a-z]+)/[\w.-]+")
    found = []
    for path in (*sources(TEXTS), *sorted((ROOT / "tests").rglob("*.py"))):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if pattern.search(line) and path != Path(__file__):
                found.append(f"{where(path, number)}: {line.strip()[:100]}")
    assert found == []
