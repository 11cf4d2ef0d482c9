"""A real `rackwright serve` with all its processes, on free ports of 127.0.0.1, and a person at its command line."""

import hashlib
import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appliance.domain.clock import system_clock
from appliance.main.cli.waiting import is_resting
from appliance.main.client import Client
from appliance.main.client_errors import ApiError, ClientError
from appliance.services import setup
from tests.fakes.ports import free

ROOT = Path(__file__).parents[2]
PASSWORD = "correct-horse-battery"
READY_S = 60.0
POLL_S = 0.05
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
FAST = {"agent_boot": '"30s"', "call_home": '"30s"', "kexec_home": '"10s"', "power_change": '"5s"'}

Json = dict[str, Any]


def make_state(state: Path, *, database_url: str | None = None) -> Path:
    """As `rackwright init` does, with a password that the tests know."""
    file = state.parent / f"{state.name}.password"
    file.write_text(PASSWORD + "\n")
    file.chmod(0o600)
    setup.init(state, admin_password_file=file, database_url=database_url, clock=system_clock)
    return state


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    api: int
    agent: int
    http: int
    tftp: int
    dns: int
    dhcp: int

    @classmethod
    def free(cls) -> "Ports":
        return cls(**dict(zip(("api", "agent", "http", "tftp", "dns", "dhcp"), free(6), strict=True)))


def configure(state: Path, ports: Ports, *, settings: Mapping[str, Mapping[str, str]] | None = None) -> None:
    """Replace the configuration. settings: section → key → value as TOML."""
    database = [line for line in (state / "rackwright.toml").read_text().splitlines() if line.startswith("url = ")]
    sections: dict[str, dict[str, str]] = {
        "api": {"listen": f'"127.0.0.1:{ports.api}"', "threads": "16"},
        "agent": {"listen": f'"127.0.0.1:{ports.agent}"', "threads": "16"},
        "netboot": {
            "http_port": str(ports.http), "tftp_port": str(ports.tftp), "dns_port": str(ports.dns),
            "dhcp_port": str(ports.dhcp), "discovery": '"enroll"',
        },
        "bmc": {"deadline": '"3s"', "sweep_interval": '"5s"'},
        "lifecycle": dict(FAST),
    }  # fmt: skip
    for name, keys in (settings or {}).items():
        sections[name] = sections.get(name, {}) | dict(keys)
    lines = ["[database]", *database] if database else []
    for name, keys in sections.items():
        lines += [f"[{name}]", *(f"{key} = {value}" for key, value in keys.items())]
    (state / "rackwright.toml").write_text("\n".join(lines) + "\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


def disk_image(size: int = 4 << 20) -> bytes:
    """A raw disk with an MBR, one partition, and something in it that does not pack."""
    entry = struct.pack("<B3sB3sII", 0x80, b"\0\2\0", 0x83, b"\xff\xff\xff", 2048, size // 512 - 2048)
    table = b"\0" * 446 + entry + b"\0" * 48 + b"\x55\xaa"
    content = os.urandom(64 * 1024)
    return table + b"\0" * (2048 * 512 - 512) + content + b"\0" * (size - 2048 * 512 - len(content))


@dataclass(slots=True)
class Served:
    """One state directory and, after `start`, the processes that serve it."""

    state: Path
    ports: Ports
    process: "subprocess.Popen[str] | None" = None
    token: str | None = None
    seen: set[int] = field(default_factory=set)
    _client: Client | None = None

    # -- the processes

    def start(self, *, wait: bool = True) -> "Served":
        log = (self.state.parent / "serve.out").open("a")
        with log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "appliance", "serve", "--state", str(self.state)],
                env=ENVIRONMENT, stdout=log, stderr=subprocess.STDOUT, text=True, cwd=ROOT,
            )  # fmt: skip
        if wait:
            self.until_ready()
        return self

    def until_ready(self) -> None:
        """Until control and netboot answer and the tests are logged in."""
        self.until(lambda: self.status().get("is_ready"), within_s=READY_S, what="serve is ready")
        if self.token is None:
            self.until(self._log_in, within_s=READY_S, what="login")

    def _log_in(self) -> bool:
        try:
            answer = self.call("POST", "/v1/login", {"username": "admin", "password": PASSWORD})
        except ClientError as error:
            if isinstance(error, ApiError) and error.status < 500:
                raise
            return False
        self.token = str(answer["token"])
        return True

    def status(self) -> Json:
        with suppress(OSError, ValueError):
            status: Json = json.loads((self.state / "run" / "status.json").read_text())
            self.seen |= {status["supervisor"], *(one["pid"] for one in status["children"].values() if one["pid"])}
            return status
        return {}

    def pid(self, name: str) -> int:
        """Of `guard`, `supervisor`, `control` or `netboot`, as far as it lives."""
        if name == "guard":
            assert self.process is not None
            return self.process.pid
        status = self.status()
        return int(status["supervisor"] if name == "supervisor" else status["children"][name]["pid"] or 0)

    def kill(self, name: str) -> int:
        """`kill -9`; waits until it is gone."""
        self.until(lambda: self.pid(name) > 0, within_s=READY_S, what=f"{name} runs")  # 0 would be all of us
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        if self.process is not None and pid == self.process.pid:
            self.process.wait(30)
        self.until(lambda: is_gone(pid), within_s=30, what=f"{name} is gone")
        return pid

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def clean_up(self) -> None:
        """End everything that was started, by its id and at once: a service that survives kill -9 needs no farewell."""
        if self._client is not None:
            self._client.close()
        if self.process is not None:
            self.process.kill()
        for _ in range(2):  # the supervisor may have started one more meanwhile
            self.status()
            for pid in self.seen:
                with suppress(OSError):
                    if str(self.state) in Path(f"/proc/{pid}/cmdline").read_text(errors="replace"):
                        os.kill(pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait(30)

    def log(self) -> str:
        return "".join(path.read_text(errors="replace") for path in (self.state / "log").glob("*.log"))

    def said(self) -> str:
        """What `serve` wrote on its terminal."""
        return (self.state.parent / "serve.out").read_text()

    # -- the API

    def client(self) -> Client:
        if self._client is None or self._client.token != self.token:
            self._client = Client(
                url=f"https://127.0.0.1:{self.ports.api}",
                ca=self.state / "tls" / "ca.pem",
                token=self.token,
                timeout_s=20,
            )
        return self._client

    def call(self, method: str, path: str, body: object = None) -> Json:
        """Raises ApiError or Unreachable."""
        answer: Json = self.client().call(method, path, body=body).body
        return answer

    def get(self, path: str) -> Json:
        """As `call`, patient with an appliance that restarts."""
        found: list[Json] = []

        def ask() -> bool:
            try:
                found.append(self.call("GET", path))
            except ApiError as error:
                if error.status < 500:
                    raise
                return False
            except ClientError:
                return False
            return True

        self.until(ask, within_s=READY_S, what=f"an answer to GET {path}")
        return found[0]

    def node(self, ref: str) -> Json:
        return self.get(f"/v1/nodes/{ref}")

    def refused(self, method: str, path: str, body: object = None) -> ApiError:
        """The error of a request that must fail."""
        try:
            answer = self.call(method, path, body)
        except ApiError as error:
            return error
        raise AssertionError(f"{method} {path} was not refused: {answer}")

    def pretend(self, name: str, *, number: int = 1, **options: object) -> Json:
        """A node of the fake driver in `enroll`."""
        return self.call(
            "POST",
            "/v1/nodes",
            {"name": name, "driver": "fake", "macs": [f"52:54:00:fa:00:{number:02x}"], "driver_options": options},
        )

    def rest(self, ref: str, *, within_s: float = 60.0) -> Json:
        """The node, once no work runs on it."""
        found: list[Json] = []

        def rests() -> bool:
            found[:] = [self.node(ref)]
            return is_resting(found[0])

        self.until(rests, within_s=within_s, what=lambda: f"{ref} rests; it is {found}")
        return found[0]

    def do(self, ref: str, verb: str, body: Json | None = None, *, within_s: float = 60.0) -> Json:
        """Ask a verb; the node once it rests again."""
        self.call("POST", f"/v1/nodes/{ref}/{verb}", body or {})
        return self.rest(ref, within_s=within_s)

    def events(self, ref: str) -> list[Json]:
        items: list[Json] = self.get(f"/v1/nodes/{ref}/timeline?limit=1000")["items"]
        return items

    def add_image(self, name: str, *, size: int = 4 << 20) -> None:
        """An active image; what is in it does not matter to a pretend machine."""
        made = self.upload(name, disk_image(size))
        assert made["status"] == "active", made["problem"]

    def upload(self, name: str, data: bytes, *, sha256: str | None = None) -> Json:
        """The image, once it is `active` or `killed`. Raises ApiError when the bytes are refused at once."""
        digest = sha256 or hashlib.sha256(data).hexdigest()
        self.call("POST", "/v1/images", {"name": name, "sha256": digest})
        self.client().upload(f"/v1/images/{name}/file", [data], size=len(data), headers={"X-Checksum-Sha256": digest})
        found: list[Json] = []

        def is_settled() -> bool:
            found[:] = [self.get(f"/v1/images/{name}")]
            return found[0]["status"] not in ("queued", "saving")

        self.until(is_settled, within_s=60, what=f"the image {name} is packed")
        return found[0]

    def fleet(self, count: int) -> list[str]:
        """Pretend machines in `available`."""
        refs = [f"n{number}" for number in range(1, count + 1)]
        for number, ref in enumerate(refs, 1):
            self.pretend(ref, number=number, agent_delay_s=0.05)
        for verb, goal in (("manage", "manageable"), ("provide", "available")):
            for ref in refs:
                self.call("POST", f"/v1/nodes/{ref}/{verb}", {})
            for ref in refs:
                assert self.rest(ref)["provision_state"] == goal
        return refs

    # -- the command line

    def cli(self, *words: str, stdin: str = "") -> Said:
        environment = {
            **ENVIRONMENT, "RACKWRIGHT_STATE": str(self.state), "RACKWRIGHT_TOKEN": self.token or "",
            "RACKWRIGHT_URL": f"https://127.0.0.1:{self.ports.api}",
            "RACKWRIGHT_CA": str(self.state / "tls" / "ca.pem"),
            "RACKWRIGHT_CONFIG": str(self.state.parent / "no-profiles.toml"),
        }  # fmt: skip
        return run(*words, environment=environment, stdin=stdin)

    # -- waiting

    def until(self, claim: Callable[[], object], *, within_s: float, what: str | Callable[[], str]) -> None:
        ends = time.monotonic() + within_s
        while not claim():
            assert time.monotonic() < ends, (
                f"not within {within_s:.0f} s: {what if isinstance(what, str) else what()}\n{self.log()[-3000:]}"
            )
            time.sleep(POLL_S)


def run(*words: str, environment: Mapping[str, str] = ENVIRONMENT, stdin: str = "", user: str | None = None) -> Said:
    """A `rackwright` command, as typed. user: who types it."""
    done = subprocess.run(
        [sys.executable, "-m", "appliance", *words],
        env=dict(environment), input=stdin, capture_output=True, text=True, timeout=90, cwd=ROOT, check=False,
        user=user,
    )  # fmt: skip
    return Said(code=done.returncode, out=done.stdout, err=done.stderr)


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):  # the latter: it went away between opening and reading
        return True


@contextmanager
def served(state: Path, *, settings: Mapping[str, Mapping[str, str]] | None = None) -> Iterator[Served]:
    """A running appliance on this state directory, until the end of the block."""
    one = Served(state, Ports.free())
    configure(state, one.ports, settings=settings)
    try:
        yield one.start()
    finally:
        one.clean_up()
