"""A whole machine without QEMU: a virtual BMC that switches it, the real agent on a disk that is a file, an "installed
system" that calls home by what it finds on its config drive. Everything on loopback.
"""

import http.client
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from bmc.types import BootDevice
from images.ramdisk import zip_application
from tests.fakes.bmcs import SECRET, make_bmc
from tests.fakes.machine import PretendMachine
from tests.fakes.machine_tree import MachineTree
from tests.fakes.served import ROOT, Served

MIB = 1 << 20
# The agent's own program, with a pause before each write to the disk: a disk so slow that a test can look in between.
_SLOW_DISK = """
import runpy, sys, time
program, root, pause_s = sys.argv[1:]
sys.path.insert(0, program)
from agent import imaging_disk
write = imaging_disk.Target.write
def slow(*words):
    time.sleep(float(pause_s))
    return write(*words)
imaging_disk.Target.write = slow
sys.argv = [program, "--root", root]
runpy.run_path(program, run_name="__main__")
"""
_HOME = re.compile(rb"http://127\.0\.0\.1:\d+/call-home/[A-Za-z0-9_-]+")


class WorkingMachine(PretendMachine):
    """calls_home: whether the installed system does. write_pause_s: how slow its disk is, from the next boot on."""

    def __init__(self, appliance: Served, folder: Path, mac: str, *, disk_mib: int) -> None:
        super().__init__()
        self.mac = mac
        self.calls_home = True
        self.write_pause_s = 0.0
        self.agent: subprocess.Popen[bytes] | None = None
        self._appliance = appliance
        folder.mkdir()
        (appliance.state / "boot" / "ca.pem").write_bytes((appliance.state / "tls" / "ca.pem").read_bytes())
        self._program = folder / "agent.pyz"
        self._program.write_bytes(zip_application(ROOT))
        (folder / "machine").mkdir()
        self.tree = MachineTree(folder / "machine")
        self.tree.nic("eth0", mac)
        self.disk = self.tree.disk("vda", disk_mib * MIB, serial="S-1")
        self.tree.ready()
        self._log = folder / "agent.log"
        self._lock = threading.Lock()

    def power_on(self) -> None:
        wish = self.once or self.persistent
        super().power_on()
        threading.Thread(target=self._boot, args=(wish,), daemon=True).start()

    def power_off(self) -> None:
        super().power_off()
        self.lose_power()

    def reset(self) -> None:
        self.power_off()
        self.power_on()

    def set_boot_order(self, *, once: BootDevice | None, persistent: BootDevice) -> None:
        self.once, self.persistent = once, persistent

    def lose_power(self) -> None:
        """At once: the agent is gone in whatever it did."""
        self._is_on = False
        with self._lock:
            if self.agent is not None:
                self.agent.kill()
                self.agent.wait()

    def _boot(self, wish: BootDevice) -> None:
        script = "" if wish is BootDevice.DISK else self._script()
        if not self._is_on:
            return
        found = re.search(r"rackwright\.api=.*", script)
        if found is None:
            self._boot_disk()
            return
        ports = self._appliance.ports
        line = f"{found[0]} rackwright.http=http://127.0.0.1:{ports.http}\n"
        (self.tree.root / "run/rackwright/session").unlink(missing_ok=True)  # a new boot
        self.tree.write("proc/cmdline", line)
        with self._lock, self._log.open("ab") as log:
            if not self._is_on:
                return
            words = [str(self._program), str(self.tree.root), str(self.write_pause_s)]
            argv = [sys.executable, "-I", "-S", "-c", _SLOW_DISK, *words]
            self.agent = subprocess.Popen(argv, stdout=log, stderr=log)
        if self.agent.wait() == 0 and self._is_on:  # it left by itself: a reboot, into what the BMC says now
            self._boot_disk()

    def _script(self) -> str:
        """As netboot asks control for it: again, as firmware does, while control is being started anew."""
        while self._is_on:
            with suppress(OSError, http.client.HTTPException):
                return self._ask_script()
            time.sleep(0.5)
        return ""

    def _ask_script(self) -> str:
        connection = http.client.HTTPConnection("localhost", timeout=20)
        connection.sock = socket.socket(socket.AF_UNIX)
        query = f"mac={self.mac}&address=127.0.0.1&server=127.0.0.1&platform=pcbios"
        with closing(connection):
            connection.sock.connect(str(self._appliance.state / "run" / "control.sock"))
            connection.request("GET", f"/internal/boot/script?{query}")
            return connection.getresponse().read().decode()

    def _boot_disk(self) -> None:
        data = self.disk.read_bytes()
        found = _HOME.search(data) if data[510:512] == b"\x55\xaa" else None
        if found is not None and self.calls_home:
            self._call_home(found[0].decode())

    def _call_home(self, url: str) -> None:
        """As cloud-init does: again when nobody answers."""
        for _ in range(20):
            try:
                urllib.request.urlopen(url, data=b"hostname=x", timeout=20).close()
            except urllib.error.HTTPError as refused:
                refused.close()
            except OSError:
                time.sleep(0.5)
                continue
            return


@contextmanager
def working_machine(
    appliance: Served, folder: Path, name: str, *, number: int = 1, disk_mib: int = 128
) -> Iterator[WorkingMachine]:
    """Enrolled as `name`, and off."""
    machine = WorkingMachine(appliance, folder, f"52:54:00:fb:00:{number:02x}", disk_mib=disk_mib)
    with make_bmc(machine, address=f"127.0.0.{10 + number}") as bmc:
        access = {"address": bmc.address, "udp_port": bmc.udp_port, "username": "admin", "password": SECRET}
        body = {"name": name, "driver": "ipmi", "bmc": access, "macs": [machine.mac], "boot_mode": "bios"}
        appliance.call("POST", "/v1/nodes", body)
        try:
            yield machine
        finally:
            machine.calls_home = False
            machine.lose_power()
