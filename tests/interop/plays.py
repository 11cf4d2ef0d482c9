"""Ansible as a program: its core from PyPI, and its openstack.cloud collection taken out of the wheel that bundles all.

Ansible is under the GPL: it is started, never imported.
"""

import os
import subprocess
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from tests.interop import environments

HERE = Path(__file__).parent
CORE, COLLECTIONS = HERE / "ansible-requirements.lock", HERE / "ansible-collections.lock"
PLAYBOOKS = HERE / "playbooks"
COLLECTION = "ansible_collections/openstack/"
PLAY_S = 300


def environment() -> Path:
    return environments.made("ansible", CORE, COLLECTIONS, finish=_collect)


def _collect(home: Path) -> None:
    """The wheel unpacks to half a gigabyte; the collection is one megabyte of it."""
    with tempfile.TemporaryDirectory(dir=home) as folder:
        environments.pip(home, "download", "--no-deps", "-d", folder, "-r", COLLECTIONS)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(home / "collections", [one for one in archive.namelist() if one.startswith(COLLECTION)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """How a playbook ended. `ok`, `changed`, `skipped`: so many tasks."""

    code: int
    out: str
    ok: int = 0
    changed: int = 0
    skipped: int = 0


def play(name: str, *options: str, home: Path) -> Played:
    """Run playbooks/NAME.yml against the cloud in home/clouds.yaml."""
    programs = environment()
    variables = {
        "PATH": f"{programs / 'bin'}:{os.environ['PATH']}", "HOME": str(home), "LANG": "C.UTF-8",
        "OS_CLIENT_CONFIG_FILE": str(home / "clouds.yaml"), "ANSIBLE_COLLECTIONS_PATH": str(programs / "collections"),
        "ANSIBLE_LOCALHOST_WARNING": "0", "ANSIBLE_INVENTORY_UNPARSED_WARNING": "0", "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_NOCOLOR": "1", "ANSIBLE_HOME": str(home / ".ansible"),
    }  # fmt: skip
    done = subprocess.run(
        [programs / "bin" / "ansible-playbook", PLAYBOOKS / f"{name}.yml", *options], cwd=home, env=variables,
        capture_output=True, text=True, timeout=PLAY_S, check=False,
    )  # fmt: skip
    counts = dict(word.split("=") for word in done.stdout.rpartition("localhost")[2].split() if "=" in word)
    figures = {word: int(counts.get(word, 0)) for word in ("ok", "changed", "skipped")}
    return Played(code=done.returncode, out=done.stdout + done.stderr, **figures)
