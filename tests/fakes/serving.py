"""A real `rackwright serve` in processes of its own: initialised, logged in to, measured and ended with the block.

with serving.appliance(folder) as it:                 # SQLite; database_url= for PostgreSQL
    it.client().get("/v1/nodes"); it.cli("node", "list"); it.pss_mb()
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from appliance.main.client import Client, ClientError
from appliance.services import setup
from tests.fakes import ports

ROOT = Path(__file__).parents[2]
PASSWORD = "correct-horse-battery"
TICK_S = os.sysconf("SC_CLK_TCK")


class Appliance:
    """What runs in `state`. `url`: of the operators' API; `agent_port`: of the agents' face."""

    def __init__(self, state: Path, only: str) -> None:
        self.state, self.only = state, only
        self.port, self.agent_port = ports.free(2)
        self.url = f"https://127.0.0.1:{self.port}"
        self.ca = state / "tls" / "ca.pem"
        self.token = ""
        self._process: subprocess.Popen[bytes] | None = None

    def init(self, *, database_url: str | None = None, join: Path | None = None) -> None:
        self.state.parent.mkdir(parents=True, exist_ok=True)
        password = self.state.with_name(f"{self.state.name}.password")
        password.write_text(PASSWORD)
        listen = f"127.0.0.1:{self.port}"
        more: dict[str, Any] = {"join": join} if join else {"admin_password_file": password}
        setup.init(self.state, database_url=database_url, listen=listen, **more)
        self.configure({"agent": {"listen": f"127.0.0.1:{self.agent_port}"}})

    def configure(self, sections: Mapping[str, Mapping[str, object]]) -> None:
        """Set keys in rackwright.toml."""
        file = self.state / "rackwright.toml"
        lines = file.read_text().splitlines()
        for section, values in sections.items():
            at = next(number for number, line in enumerate(lines) if line.startswith(f"[{section}]"))
            lines[at + 1 : at + 1] = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        file.write_text("\n".join(lines) + "\n")

    def start(self) -> None:
        argv = [sys.executable, "-P", "-m", "appliance", "--state", str(self.state), "serve", "--only", self.only]
        log = (self.state.with_name(f"{self.state.name}.log")).open("ab")
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(argv, stdout=log, stderr=log, env=environment, start_new_session=True)
        log.close()
        self.log_in()

    def log_in(self, within_s: float = 60) -> None:
        ends = time.monotonic() + within_s
        client = Client(url=self.url, ca=self.ca)
        while True:
            try:
                answer = client.call("POST", "/v1/login", body={"username": "admin", "password": PASSWORD}).body
            except ClientError:
                if time.monotonic() > ends or (self._process and self._process.poll() is not None):
                    raise AssertionError(f"not served: {self.log_text()[-3000:]}") from None
                time.sleep(0.1)
            else:
                self.token = answer["token"]
                client.close()
                return

    def stop(self) -> int:
        """The exit code."""
        process = self._process
        if process is None:
            return 0
        self._process = None
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            return process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return process.wait(30)

    def log_text(self) -> str:
        files = [self.state / "log" / "control.log", self.state.with_name(f"{self.state.name}.log")]
        return "\n".join(file.read_text(errors="replace") for file in files if file.exists())

    def client(self) -> Client:
        """A new one: each thread needs its own."""
        return Client(url=self.url, ca=self.ca, token=self.token)

    def cli(self, *argv: str, within_s: float = 900) -> "subprocess.CompletedProcess[str]":
        environment = {
            **os.environ, "PYTHONPATH": str(ROOT), "RACKWRIGHT_URL": self.url, "RACKWRIGHT_CA": str(self.ca),
            "RACKWRIGHT_TOKEN": self.token, "HOME": str(self.state.parent),
        }  # fmt: skip
        return subprocess.run(
            [sys.executable, "-P", "-m", "appliance", *argv], env=environment, text=True, capture_output=True,
            timeout=within_s, check=False,
        )  # fmt: skip

    def pids(self) -> dict[str, int]:
        """Every process of `serve` by name."""
        if self._process is None:
            return {}
        status = json.loads((self.state / "run" / "status.json").read_text())
        children = {name: one["pid"] for name, one in status["children"].items() if one["pid"]}
        return {"guard": self._process.pid, "supervisor": status["supervisor"], **children}

    def pss_mb(self) -> dict[str, float]:
        """Memory of each process, what is shared counted once over all who share it."""
        return {name: pss_mb(pid) for name, pid in self.pids().items()}

    def cpu_s(self, name: str = "control") -> float:
        fields = Path(f"/proc/{self.pids()[name]}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK_S

    def image(self, name: str = "tiny", size: int = 1 << 20) -> None:
        """An image that is small and active."""
        client = self.client()
        client.call("POST", "/v1/images", body={"name": name})
        disk = boot_sector() + b"\x5a" * 4096
        client.upload(f"/v1/images/{name}/file", [disk, bytes(size - len(disk))], size=size, headers={})
        ends = time.monotonic() + 60
        while (shown := client.get(f"/v1/images/{name}"))["status"] != "active":
            assert shown["status"] in {"queued", "saving"}, shown
            assert time.monotonic() < ends, shown
            time.sleep(0.05)
        client.close()


@contextmanager
def appliance(
    folder: Path,
    *,
    database_url: str | None = None,
    only: str = "api,worker",
    settings: Mapping[str, Mapping[str, object]] | None = None,
) -> Iterator[Appliance]:
    made = Appliance(folder / "state", only)
    made.init(database_url=database_url)
    made.configure(settings or {})
    try:
        made.start()
        yield made
    finally:
        made.stop()


def boot_sector() -> bytes:
    """An MBR with one partition: enough to be taken for a disk."""
    entry = bytes([0x80, 0, 2, 0, 0x83, 0, 0, 0]) + (1).to_bytes(4, "little") + (2047).to_bytes(4, "little")
    return bytes(446) + entry + bytes(48) + b"\x55\xaa"


def pss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return round(int(line.split()[1]) / 1024, 1)
    raise AssertionError(pid)
