"""The stock OpenStack clients in an environment of their own, and commands typed at them.

with clients.warm(folder, home=home) as typed:
    typed.shows("openstack token issue")["id"]

The environment is made from requirements.lock at the first need (environments.py).
"""

import json
import os
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.interop import environments

HERE = Path(__file__).parent
LOCK = HERE / "requirements.lock"
PROGRAMS = ("openstack", "baremetal")
COMMAND_S = 120


def environment() -> Path:
    """The directory of the clients' virtual environment; made now if it is not there."""
    return environments.made("openstack-clients", LOCK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """How a command ended."""

    line: str
    code: int
    out: str
    err: str

    def json(self) -> Any:
        assert self.code == 0, self
        return json.loads(self.out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """Where commands are typed. `programs`: the directory that holds `openstack`; `home`: theirs, with clouds.yaml."""

    programs: Path
    home: Path
    cloud: str = "rackwright"

    def at(self, home: Path) -> "Terminal":
        """The same programs with another home directory."""
        return replace(self, home=home)

    def environment(self, variables: Mapping[str, str] | None = None) -> dict[str, str]:
        ours = {"OS_CLIENT_CONFIG_FILE": str(self.home / "clouds.yaml"), "OS_CLOUD": self.cloud}
        path = f"{self.programs}:{os.environ['PATH']}"
        common = {"PATH": path, "HOME": str(self.home), "LANG": "C.UTF-8", "COLUMNS": "200", "PYTHONWARNINGS": "ignore"}
        return common | dict(ours if variables is None else variables)

    def __call__(self, line: str, *, cloud: str | None = None, variables: Mapping[str, str] | None = None) -> Said:
        """Type a line. Its quoting is a shell's; there is no shell. variables: instead of a clouds.yaml."""
        words = shlex.split(line)
        environment = (self if cloud is None else replace(self, cloud=cloud)).environment(variables)
        with keyboard() as stdin:
            done = subprocess.run(
                [self.programs / words[0], *words[1:]], cwd=self.home, env=environment, stdin=stdin,
                capture_output=True, text=True, timeout=COMMAND_S, check=False,
            )  # fmt: skip
        return Said(line=line, code=done.returncode, out=done.stdout, err=done.stderr)

    def shows(self, line: str, **more: Any) -> Any:
        """What a command that must succeed prints with -f json."""
        return self(f"{line} -f json", **more).json()

    def does(self, line: str, **more: Any) -> str:
        """What a command that must succeed prints."""
        said = self(line, **more)
        assert said.code == 0, said
        return said.out


@contextmanager
def keyboard() -> Iterator[int]:
    """A terminal for standard input: without one, `image create` takes what it reads there for the image."""
    ours, theirs = os.openpty()
    try:
        yield theirs
    finally:
        os.close(theirs)
        os.close(ours)


@contextmanager
def warm(folder: Path, *, home: Path) -> Iterator[Terminal]:
    """A terminal whose `openstack` answers without the start-up of Python (warm_openstack.py)."""
    python = environment() / "bin" / "python"
    programs, socket = folder / "bin", folder / "openstack.sock"
    programs.mkdir(parents=True)
    for name in PROGRAMS:
        script = programs / name
        words = shlex.join([str(python), "-I", "-S", str(HERE / "warm_command.py"), str(socket), name])
        script.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        script.chmod(0o755)
    server = subprocess.Popen(
        [python, "-W", "ignore", HERE / "warm_openstack.py", socket],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert server.stdin
    assert server.stdout
    try:
        assert server.stdout.readline() == "ready\n", "the warm clients did not start"
        yield Terminal(programs=programs, home=home)
    finally:
        server.stdin.close()
        server.stdout.close()
        server.wait(30)


def cold(*, home: Path) -> Terminal:
    """A terminal with the programs as they were installed."""
    return Terminal(programs=environment() / "bin", home=home)
