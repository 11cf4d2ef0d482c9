"""The distribution as somebody else meets it: built, installed alone, started from another directory."""

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = {"appliance", "pxe", "bmc", "images", "webui", "agent"}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT],
        check=True, capture_output=True, timeout=250,
    )  # fmt: skip
    return next(out.glob("*.whl"))


@pytest.fixture(scope="session")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds the wheel and nothing else."""
    home = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True, timeout=120)
    python = home / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", wheel]
    subprocess.run(pip, check=True, capture_output=True, timeout=250)
    return python


def run(python: Path, code: str, cwd: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    argv = [python, *flags, "-c", code]
    return subprocess.run(argv, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_top_level_names_are_exactly_ours(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        names = {name.partition("/")[0] for name in archive.namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == OURS


def test_nothing_is_packed_that_was_not_meant(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    unwanted = (".pyc", ".db", ".key", ".qcow2", ".img", ".raw", ".log", ".toml~")
    assert not [name for name in names if name.endswith(unwanted) or "__pycache__" in name]
    assert sum(archive.getinfo(name).file_size for name in names) < 5_000_000


@pytest.mark.parametrize("package", sorted(OURS))
def test_every_tracked_file_of_a_package_is_packed(wheel: Path, package: str):
    done = subprocess.run(["git", "ls-files", package], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("not a git checkout, so nothing says which files are meant")
    left_out = set(
        tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["exclude"]
    )
    with zipfile.ZipFile(wheel) as archive:
        assert set(done.stdout.split()) - set(archive.namelist()) == left_out & set(done.stdout.split())


def test_it_runs_from_a_directory_full_of_namesakes(bare: Path, tmp_path: Path):
    """`python -P`: a local `images` folder must not stand in for the installed package."""
    for name in OURS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('the wrong package')\n")
    code = f"""
import importlib, json
print(json.dumps({{name: importlib.import_module(name).__file__ for name in {sorted(OURS)!r}}}))
"""
    done = run(bare, code, tmp_path, "-P")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert all(Path(file).is_relative_to(bare.parents[1]) for file in found.values()), found


def test_each_name_has_one_owner(bare: Path, tmp_path: Path):
    code = "import importlib.metadata, json; print(json.dumps(importlib.metadata.packages_distributions()))"
    owners = json.loads(run(bare, code, tmp_path, "-P").stdout)
    assert {name: set(owners.get(name, ())) for name in OURS} == {name: {"rackwright"} for name in OURS}


def test_data_files_open(bare: Path, tmp_path: Path):
    code = """
from importlib.resources import files
for package, name in [
    ("appliance.models.migrations", "script.py.mako"),
    ("appliance.models.migrations.versions", "0001_first_schema.py"),
    ("appliance.main", "systemd/rackwright.service"),
    ("webui", "templates/page.html"),
    ("images", "ramdisk/init"),
]:
    assert files(package).joinpath(name).read_text(), name
"""
    done = run(bare, code, tmp_path, "-P")
    assert done.returncode == 0, done.stderr


def test_the_supervisor_needs_nothing_but_the_standard_library(bare: Path, tmp_path: Path):
    """It must stay light: heavy modules belong to the children."""
    code = """
import sys
import tomllib
import appliance.main.supervisor
foreign = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names) - {"appliance", "__main__"}
assert not {name for name in foreign if not name.startswith("_")}, foreign
assert "asyncio" not in sys.modules
"""
    done = run(bare, code, tmp_path, "-P")
    assert done.returncode == 0, done.stderr


def test_serve_says_what_is_missing(bare: Path, tmp_path: Path):
    code = """
from pathlib import Path
from appliance.main.supervisor import serve
try:
    serve(Path("nowhere"))
except Exception as fault:
    print(type(fault).__name__, fault)
"""
    done = run(bare, code, tmp_path, "-P")
    assert done.stdout.startswith("BadConfiguration"), done.stderr
    assert f"{tmp_path}/nowhere/rackwright.toml does not exist" in done.stdout


def test_the_unit_is_sound(tmp_path: Path):
    unit = (ROOT / "appliance" / "main" / "systemd" / "rackwright.service").read_text()
    for line in ("Type=notify", "NotifyAccess=all", "Restart=always", "NoNewPrivileges=yes", "ProtectSystem=strict"):
        assert line in unit.splitlines()
