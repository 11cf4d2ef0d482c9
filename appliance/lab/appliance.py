"""The appliance inside the virtual rack: state directory made, processes started in the namespace, ended by their id.

Everything goes through `rackwright init` and `rackwright serve`, as a person would type them.
"""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from appliance.lab import processes
from appliance.lab.client import Client
from appliance.lab.errors import LabFailed
from appliance.lab.rack import Rack, tail
from images import tools

API_PORT = 8443
ROLE = "appliance"
_LOGIN_FILE = "login.json"
_LOG_FILE = "serve.log"
_INIT_LIMIT_S = 120.0
_READY_LIMIT_S = 90.0
_STOP_LIMIT_S = 20.0
_POLL_S = 0.1
# What the lab wants different from the first configuration: line of the template → line of ours.
_SETTINGS = {
    '# discovery = "record"': 'discovery = "enroll"',
    "# names = []": 'names = ["127.0.0.1", "localhost"]',
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """password: the one-time password that `init` made."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """url: on the host, by a forwarded port."""

    state: Path
    url: str
    port: int
    log: Path

    @property
    def ca(self) -> Path:
        return self.state / "tls" / "ca.pem"

    def client(self) -> Client:
        return Client(self.port, ca=self.ca)


def command(*words: str) -> list[str]:
    """The `rackwright` command under this interpreter."""
    return processes.module("appliance", *words)


def run_command(running: Running, token: str, *words: str, limit_s: float) -> str:
    """A command against the running appliance, as on a terminal. Raises tools.ToolFailed with what it said."""
    names = {"RACKWRIGHT_URL": running.url, "RACKWRIGHT_CA": str(running.ca), "RACKWRIGHT_TOKEN": token}
    return tools.run(command(*words), timeout_s=limit_s, env={**processes.environment(), **names})


def initialise(state: Path, *, address: str) -> Login:
    """`rackwright init`, unless it was done by us before; then what it said then. Raises LabFailed."""
    kept = state / _LOGIN_FILE
    if kept.exists():
        return _read_login(kept)
    words = command("init", "--state", str(state), "--listen", f"{address}:{API_PORT}", "-o", "json")
    try:
        said = json.loads(tools.run(words, timeout_s=_INIT_LIMIT_S, env=processes.environment()))
        login = Login(username=said["username"], password=said["one_time_password"])
    except (tools.ToolFailed, ValueError, KeyError) as cause:
        raise LabFailed("rackwright init failed", why=str(cause), next_step=f"remove {state} and try again") from cause
    _configure(state / "rackwright.toml")
    handle = os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as out:
        json.dump({"username": login.username, "password": login.password}, out)
    return login


def is_ours(state: Path) -> bool:
    """Was this state directory made by `initialise`?"""
    return (state / _LOGIN_FILE).exists()


def start(rack: Rack, state: Path) -> Running:
    """`rackwright serve` inside the rack; waits until it answers over TLS. Raises LabFailed with its last words."""
    log = rack.run_dir / _LOG_FILE
    inside = f"{rack.spec.address}:{API_PORT}"
    rack.start(ROLE, command("serve", "--state", str(state), "--listen", inside), log=log)
    port = rack.forward(rack.spec.address, API_PORT)
    running = Running(state=state, url=f"https://127.0.0.1:{port}", port=port, log=log)
    _wait_ready(rack, running)
    return running


def stop(rack: Rack) -> None:
    rack.stop(ROLE, grace_s=_STOP_LIMIT_S)


def _read_login(file: Path) -> Login:
    try:
        said = json.loads(file.read_text())
        return Login(username=said["username"], password=said["password"])
    except (OSError, ValueError, KeyError, TypeError) as cause:
        raise LabFailed(f"{file} cannot be read", why=str(cause), next_step="give another --state") from cause


def _configure(file: Path, settings: Mapping[str, str] = _SETTINGS) -> None:
    lines = file.read_text().splitlines()
    for template, ours in settings.items():
        places = [at for at, line in enumerate(lines) if line.startswith(template)]
        if len(places) != 1:
            raise LabFailed(f"{file} is not the configuration that init writes", why=f"it lacks {template!r}")
        lines[places[0]] = ours
    file.write_text("\n".join(lines) + "\n")


def _wait_ready(rack: Rack, running: Running) -> None:
    client = running.client()
    deadline = time.monotonic() + _READY_LIMIT_S
    try:
        while time.monotonic() < deadline:
            if client.is_alive():
                return
            if rack.process(ROLE) is None:
                break
            time.sleep(_POLL_S)
    finally:
        client.close()
    raise LabFailed(
        "the appliance did not come up", why="\n".join(tail(running.log, 12)), next_step=f"read {running.log}"
    )
