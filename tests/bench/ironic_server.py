"""A real Ironic to compare with: locked packages in an environment of its own, the smallest configuration.

One process for its API and conductor (`rpc_transport = none`), SQLite, no authentication, no TLS: as fast as it can be.
The environment is kept below .build and made anew when the lock changes.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.bench.api_load import Target
from tests.fakes import ports

LOCK = Path(__file__).with_name("ironic-requirements.lock")
CONFIGURATION = """\
[DEFAULT]
auth_strategy = noauth
rpc_transport = none
host = bench
my_ip = 127.0.0.1
state_path = {state}
log_file = {state}/ironic.log
enabled_hardware_types = fake-hardware
enabled_bios_interfaces = fake,no-bios
enabled_boot_interfaces = fake
enabled_console_interfaces = fake,no-console
enabled_deploy_interfaces = fake
enabled_firmware_interfaces = fake,no-firmware
enabled_inspect_interfaces = fake,no-inspect
enabled_management_interfaces = fake
enabled_network_interfaces = noop
enabled_power_interfaces = fake
enabled_raid_interfaces = fake,no-raid
enabled_rescue_interfaces = fake,no-rescue
enabled_storage_interfaces = noop
enabled_vendor_interfaces = fake,no-vendor
[database]
connection = sqlite:///{state}/ironic.sqlite
[api]
host_ip = 127.0.0.1
port = {port}
[conductor]
automated_clean = false
[oslo_concurrency]
lock_path = {state}/locks
[pxe]
tftp_root = {state}/tftp
tftp_master_path = {state}/tftp-master
[deploy]
http_root = {state}/http
"""


def version() -> str:
    return next(line.split()[0] for line in LOCK.read_text().splitlines() if line.startswith("ironic=="))


def environment(builds: Path) -> Path:
    """The folder of Ironic's commands, installed when it is not there yet."""
    home = (builds / f"ironic-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}").absolute()
    if not (home / "installed").exists():
        sys.stderr.write(f"{version()} is installed below {builds} …\n")
        shutil.rmtree(home, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        pip = [str(home / "bin" / "pip"), "install", "-q", "--disable-pip-version-check"]
        done = subprocess.run([*pip, "--require-hashes", "-r", str(LOCK)], check=False, capture_output=True)
        if done.returncode:
            raise SystemExit(f"Ironic was not installed: {done.stderr.decode(errors='replace')[-2000:]}")
        (home / "installed").touch()
    return home / "bin"


class Ironic:
    def __init__(self, commands: Path, state: Path) -> None:
        self._commands, self._state = commands, state
        self._port = ports.free(1)[0]
        self.target = Target(url=f"http://127.0.0.1:{self._port}")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, within_s: float = 90) -> None:
        self._state.mkdir(parents=True)
        file = self._state / "ironic.conf"
        file.write_text(CONFIGURATION.format(state=self._state, port=self._port))
        with (self._state / "out.log").open("ab") as log:
            said = {"stdout": log, "stderr": log}
            subprocess.run(
                [self._commands / "ironic-dbsync", "--config-file", file, "create_schema"], check=True, **said
            )
            argv = [str(self._commands / "ironic"), "--config-file", str(file)]
            self._process = subprocess.Popen(argv, start_new_session=True, **said)
        ends = time.monotonic() + within_s
        while not self._answers():
            if time.monotonic() > ends or self._process.poll() is not None:
                raise SystemExit(f"Ironic does not answer: {(self._state / 'ironic.log').read_text()[-3000:]}")
            time.sleep(0.2)

    def stop(self) -> None:
        if self._process is None:
            return
        group = self._process.pid
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
            self._process.wait(5)

    def pids(self) -> list[int]:
        """The master and its workers, which share its process group."""
        assert self._process is not None
        return [pid for pid in _processes() if _group(pid) == self._process.pid]

    def _answers(self) -> bool:
        with suppress(OSError), urllib.request.urlopen(f"{self.target.url}/v1/drivers", timeout=5) as answer:
            return b"fake-hardware" in answer.read()  # the conductor has registered what it can do
        return False


def _processes() -> list[int]:
    return [int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit()]


def _group(pid: int) -> int | None:
    with suppress(ProcessLookupError):
        return os.getpgid(pid)
    return None


@contextmanager
def running(builds: Path, folder: Path) -> Iterator[Ironic]:
    made = Ironic(environment(builds), folder / "ironic")
    try:
        made.start()
        yield made
    finally:
        made.stop()
