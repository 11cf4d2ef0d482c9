"""The appliance inside the virtual rack: state directory made, processes started in the namespace, ended by their id.

Everything goes through `rackwright init` and `rackwright serve`, as a person would type them.
"""

import os
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path

from appliance.lab import processes
from appliance.lab.client import Client
from appliance.lab.errors import LabFailed
from appliance.lab.rack import Rack, tail
from images import tools

API_PORT = 8443
ROLE = "appliance"
_PASSWORD_FILE = "admin-password"  # noqa: S105  (a file's name)
_LOG_FILE = "serve.log"
_INIT_LIMIT_S = 120.0
_READY_LIMIT_S = 90.0
_STOP_LIMIT_S = 20.0
_POLL_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """url: on the host, by a forwarded port."""

    state: Path
    url: str
    port: int
    log: Path
    password: str = field(repr=False)

    def client(self) -> Client:
        return Client(self.port, ca=self.state / "tls" / "ca.pem")


def cli(*words: str) -> list[str]:
    """Argv of the `rackwright` command under this interpreter."""
    return processes.module("appliance", *words)


def initialise(state: Path, *, run_dir: Path) -> None:
    """`rackwright init`, unless it was done. The one-time password stays in run_dir, readable by its owner only."""
    if (state / "rackwright.toml").exists():
        return
    run_dir.mkdir(parents=True, exist_ok=True)
    file = run_dir / _PASSWORD_FILE
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as out:
        out.write(secrets.token_urlsafe(18) + "\n")
    try:
        tools.run(
            cli("init", "--state", str(state), "--admin-password-file", str(file)),
            timeout_s=_INIT_LIMIT_S,
            env=processes.environment(),
        )
    except tools.ToolFailed as cause:
        raise LabFailed("rackwright init failed", why=str(cause), next_step=f"remove {state} and try again") from cause


def password(run_dir: Path) -> str:
    """The admin's, as it is now. Raises LabFailed when the state directory was not made by the lab."""
    try:
        return (run_dir / _PASSWORD_FILE).read_text().strip()
    except FileNotFoundError as cause:
        raise LabFailed(
            "the admin's password is not known here",
            why=f"there is no {run_dir / _PASSWORD_FILE}; the state directory is older than this lab",
            next_step="give another --state",
        ) from cause


def keep_password(run_dir: Path, new: str) -> None:
    """After a change; replaced in one step."""
    draft = run_dir / f"{_PASSWORD_FILE}.new"
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as out:
        out.write(new + "\n")
    draft.replace(run_dir / _PASSWORD_FILE)


def start(rack: Rack, state: Path) -> Running:
    """`rackwright serve` inside the rack; waits until it answers over TLS. Raises LabFailed with its last words."""
    log = rack.run_dir / _LOG_FILE
    inside = rack.spec.address
    rack.start(ROLE, cli("serve", "--state", str(state), "--listen", f"{inside}:{API_PORT}"), log=log)
    port = rack.forward(inside, API_PORT)
    running = Running(
        state=state,
        url=f"https://127.0.0.1:{port}",
        port=port,
        log=log,
        password=password(rack.run_dir),
    )
    _wait_ready(rack, running)
    return running


def stop(rack: Rack) -> None:
    rack.stop(ROLE, grace_s=_STOP_LIMIT_S)


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
