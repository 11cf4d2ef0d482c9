"""A throw-away network namespace with a bridge, for tests that need real DHCP broadcasts. Needs root."""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_NETBOOT = (
    "import logging, sys; from pathlib import Path; from appliance.netboot import run; "
    "logging.basicConfig(level=logging.INFO, format='%(asctime)s %(levelname)s %(name)s %(message)s'); "
    "sys.exit(run(Path(sys.argv[1]), **{k: int(v) for k, v in (a.split('=') for a in sys.argv[2:])}))"
)


class Netns:
    """`br0` has 10.77.0.1/24; every tap is a port of it."""

    def __init__(self, *, taps: int = 0, ipv6: bool = True) -> None:
        self.name = f"pxe-{os.getpid()}-{secrets.token_hex(2)}"
        _ip("netns", "add", self.name)
        if not ipv6:
            self.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
        self.ip("link", "set", "lo", "up")
        self.ip("link", "add", "br0", "type", "bridge", "stp_state", "0", "forward_delay", "0", "mcast_snooping", "0")
        self.ip("addr", "add", "10.77.0.1/24", "dev", "br0")
        self.ip("link", "set", "br0", "up")
        for number in range(1, taps + 1):
            self.ip("tuntap", "add", "dev", f"tap{number}", "mode", "tap")
            self.ip("link", "set", f"tap{number}", "master", "br0", "up")

    def ip(self, *words: str) -> None:
        _ip("-n", self.name, *words)

    def guest(self, mac: str) -> "Guest":
        """A machine without QEMU: a namespace of its own with `eth0` on our bridge."""
        return Guest(self, mac)

    def run(self, *argv: str, timeout: float = 60) -> str:
        return subprocess.run(
            ["ip", "netns", "exec", self.name, *argv], check=True, capture_output=True, text=True, timeout=timeout
        ).stdout

    def popen(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(["ip", "netns", "exec", self.name, *argv], **options)

    def netboot(self, state_dir: Path, log: Path, **ports: int) -> subprocess.Popen[bytes]:
        """Start netboot inside; returns when it answers on loopback."""
        words = [f"{name}={number}" for name, number in ports.items()]
        with log.open("ab") as out:
            process = self.popen([sys.executable, "-c", _NETBOOT, str(state_dir), *words], stdout=out, stderr=out)
        port = ports.get("http_port", 8080)
        probe = (
            "import sys, urllib.request; "
            f"print(urllib.request.urlopen('http://127.0.0.1:{port}/healthz', timeout=2).read().decode())"
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                self.run(sys.executable, "-c", probe)
            except subprocess.CalledProcessError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(log.read_text()) from None
                time.sleep(0.1)
            else:
                return process

    def close(self) -> None:
        subprocess.run(["ip", "netns", "del", self.name], check=False, capture_output=True)


class Guest:
    def __init__(self, rack: Netns, mac: str) -> None:
        self.name = f"{rack.name}-{mac[-2:]}"
        port = f"g{mac[-2:]}"
        _ip("netns", "add", self.name)
        rack.ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "address", mac, "netns", self.name)
        rack.ip("link", "set", port, "master", "br0", "up")
        for name in ("lo", "eth0"):
            _ip("-n", self.name, "link", "set", name, "up")

    def run(self, *argv: str, timeout: float = 60) -> str:
        return subprocess.run(
            ["ip", "netns", "exec", self.name, *argv], check=True, capture_output=True, text=True, timeout=timeout
        ).stdout

    def dhcp(self, *words: str) -> str:
        """Get a lease with udhcpc and put it on eth0; the address. Raises CalledProcessError without an answer."""
        argv = ["busybox", "udhcpc", "-i", "eth0", "-f", "-n", "-q", "-t", "6", "-T", "1", "-s", "/bin/true"]
        out = subprocess.run(
            ["ip", "netns", "exec", self.name, *argv, *words], check=True, capture_output=True, text=True, timeout=60
        ).stderr
        address = out.split("lease of ")[-1].split()[0]
        subprocess.run(["ip", "-n", self.name, "addr", "flush", "dev", "eth0"], check=True)
        _ip("-n", self.name, "addr", "add", f"{address}/24", "dev", "eth0")
        return address

    def curl(self, *words: str) -> str:
        return self.run("curl", "-sS", "--max-time", "10", *words)

    def close(self) -> None:
        subprocess.run(["ip", "netns", "del", self.name], check=False, capture_output=True)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def finish(process: subprocess.Popen[bytes]) -> int:
    """End a program that the test started, politely first."""
    process.terminate()
    try:
        return process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait(30)
