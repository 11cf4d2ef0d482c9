"""The check with Gophercloud (gophercloud/main.go), compiled: the compiler comes from PyPI, the library from Debian."""

import os
import subprocess
from pathlib import Path

from tests.interop import environments

HERE = Path(__file__).parent
LOCK, PROGRAM = HERE / "go-requirements.lock", HERE / "gophercloud" / "main.go"
LIBRARIES = (
    "golang-github-gophercloud-gophercloud-dev", "golang-github-gophercloud-utils-dev", "golang-golang-x-crypto-dev",
    "golang-gopkg-yaml.v2-dev",
)  # fmt: skip
SOURCES = "usr/share/gocode"
BUILD_S, DOWNLOAD_S = 300, 120


def build(folder: Path) -> Path:
    """The program, made in this folder. Nothing but the named packages is fetched."""
    home = environments.made("go", LOCK, finish=_add_libraries)
    program = folder / "gophers"
    variables = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "GOPATH": str(home / SOURCES), "GO111MODULE": "off",
        "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOCACHE": str(home / "cache"), "CGO_ENABLED": "0",
    }  # fmt: skip
    _run([home / "bin" / "go", "build", "-o", program, PROGRAM], env=variables, cwd=folder, timeout=BUILD_S)
    return program


def _add_libraries(home: Path) -> None:
    folder = home / "packages"
    folder.mkdir()
    _run(["apt-get", "download", "-q", *LIBRARIES], cwd=folder, timeout=DOWNLOAD_S)
    for package in folder.glob("*.deb"):
        _run(["dpkg-deb", "-x", package, home], timeout=60)


def _run(argv: list[str | Path], *, timeout: float, cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, cwd=cwd, env=env, check=False)
    assert done.returncode == 0, f"{argv[0]} {argv[1]} failed:\n{done.stderr[-3000:]}"
