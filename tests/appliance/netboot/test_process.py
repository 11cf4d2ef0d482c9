"""The netboot process in a network namespace: real broadcasts, real clients (udhcpc, curl, dig), a fake control."""

import json
import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from tests.fakes.control import FakeControl, netboot_config
from tests.fakes.netns import Guest, Netns, finish

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a network namespace"),
    pytest.mark.skipif(shutil.which("busybox") is None, reason="needs udhcpc of the package busybox"),
]

MAC = "52:54:00:77:00:21"
OTHER = "52:54:00:77:00:22"
BASE = "http://10.77.0.1:8080"
TOKEN = "t" * 32


class Rack:
    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.log = folder / "netboot.log"
        boot = self.state / "boot"
        boot.mkdir(parents=True)
        (boot / "vmlinuz").write_bytes(bytes(range(256)) * 4000)
        (folder / "image.raw").write_bytes(b"image" * 50_000)
        self.control = FakeControl(netboot_config("br0", hosts=[{"mac": MAC, "hostname": "n1"}]))
        self.control.files["/image/u1/disk.raw"] = {"file": str(folder / "image.raw"), "size": 250_000, "token": TOKEN}
        self.control.call_home_tokens.add(TOKEN)
        self.control.script = lambda asked: f"#!ipxe\n# for {asked['mac']} at {asked['address']} {asked['server']}\n"
        self.socket = self.state / "run" / "control.sock"
        self.control.start(self.socket)
        self.netns = Netns()
        self.guests: list[Guest] = []
        self.start()

    def start(self) -> None:
        self.process = self.netns.netboot(self.state, self.log)

    def guest(self, mac: str) -> Guest:
        self.guests.append(self.netns.guest(mac))
        return self.guests[-1]

    def health(self) -> dict[str, object]:
        return json.loads(self.netns.run("curl", "-sS", "http://127.0.0.1:8080/healthz"))

    def close(self) -> None:
        finish(self.process)
        for guest in self.guests:
            guest.close()
        self.netns.close()
        self.control.stop()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    rack = Rack(tmp_path_factory.mktemp("rack"))
    yield rack
    rack.close()


@pytest.fixture
def own(tmp_path):
    rack = Rack(tmp_path)
    yield rack
    rack.close()


@pytest.fixture(scope="module")
def node(shared):
    guest = shared.guest(MAC)
    assert guest.dhcp() == "10.77.0.100"
    return guest


def until(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def test_lease_reaches_control_and_dns(shared, node):
    until(lambda: shared.control.leases)
    told = shared.control.leases[0]
    assert (told["address"], told["mac"], told["hostname"], told["subnet"]) == ("10.77.0.100", MAC, "n1", "lab")
    assert told["expires_at"] > time.time() + 3000
    until(lambda: "dhcp.ack" in shared.control.kinds(MAC))
    assert node.run("dig", "@10.77.0.1", "n1.rack.internal", "+short") == "10.77.0.100\n"
    assert node.run("dig", "@10.77.0.1", "-x", "10.77.0.100", "+short") == "n1.rack.internal.\n"


def test_boot_files_whole_and_in_part(shared, node):
    whole = (shared.state / "boot" / "vmlinuz").read_bytes()
    node.curl(f"{BASE}/boot/vmlinuz", "-o", str(shared.state / "got"))
    assert (shared.state / "got").read_bytes() == whole
    node.curl(f"{BASE}/boot/vmlinuz", "-r", "1000-1999", "-o", str(shared.state / "got"))
    assert (shared.state / "got").read_bytes() == whole[1000:2000]
    node.curl("tftp://10.77.0.1/vmlinuz", "-o", str(shared.state / "got"))
    assert (shared.state / "got").read_bytes() == whole
    until(lambda: {"http.start", "http.done", "tftp.start", "tftp.done"} <= set(shared.control.kinds(MAC)))


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/boot/nothing", 404),
        ("/boot/../run/control.sock", 404),
        ("/boot/%2e%2e/netboot/leases.db", 404),
        ("/boot/..%2fnetboot%2fleases.db", 404),
        ("/boot/", 404),
        ("/", 404),
        ("/image/u1/disk.raw", 404),
        (f"/image/u1/disk.raw?token={'x' * 32}", 404),
        (f"/image/../boot/vmlinuz?token={TOKEN}", 404),
        ("/internal/netboot", 404),
    ],
)
def test_nothing_else(node, path, status):
    assert node.curl("--path-as-is", "-o", "/dev/null", "-w", "%{http_code}", BASE + path) == str(status)


def test_many_ranges_at_once_are_refused(node):
    code = node.curl("-r", "0-1,5-6,9-10", "-o", "/dev/null", "-w", "%{http_code}", f"{BASE}/boot/vmlinuz")
    assert code in {"416", "200"}


def test_image_with_its_token(shared, node):
    node.curl(f"{BASE}/image/u1/disk.raw?token={TOKEN}", "-o", str(shared.state / "got"))
    assert (shared.state / "got").read_bytes() == b"image" * 50_000
    until(lambda: any("image" in event["message"] for event in shared.control.events))
    assert TOKEN not in json.dumps(shared.control.events)
    assert TOKEN not in shared.log.read_text()


def test_script_goes_to_the_holder_of_the_lease_only(shared, node):
    assert node.curl(f"{BASE}/boot.ipxe?mac={MAC}&platform=efi") == f"#!ipxe\n# for {MAC} at 10.77.0.100 10.77.0.1\n"
    asked = len(shared.control.scripts_asked)
    assert node.curl(f"{BASE}/boot.ipxe?mac={OTHER}&platform=efi").endswith("\nexit\n")
    assert "sanboot" in shared.netns.run("curl", "-sS", f"{BASE}/boot.ipxe?mac={MAC}")
    assert len(shared.control.scripts_asked) == asked


def test_call_home(shared, node):
    words = ("-o", "/dev/null", "-w", "%{http_code}", "-d", "instance_id=i-1&hostname=n1")
    assert node.curl(*words, f"{BASE}/call-home/{TOKEN}") == "200"
    told = shared.control.calls_home[-1]
    assert (told["address"], told["fields"]) == ("10.77.0.100", {"instance_id": "i-1", "hostname": "n1"})
    assert node.curl(*words, f"{BASE}/call-home/{'x' * 32}") == "404"
    assert node.curl(*words, f"{BASE}/call-home/..") == "404"
    big = shared.state / "big"
    big.write_bytes(b"a=" + b"x" * 100_000)
    assert node.curl("-o", "/dev/null", "-w", "%{http_code}", "-d", f"@{big}", f"{BASE}/call-home/{TOKEN}") == "413"


def test_process_is_small(shared, node):
    """After the work of the tests above: at most 40 MiB of its own."""
    assert node.name
    rollup = Path(f"/proc/{shared.process.pid}/smaps_rollup").read_text()
    pss_kib = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    assert pss_kib < 40 * 1024


def test_interface_that_goes_and_returns_is_picked_up(own):
    own.netns.ip("link", "del", "br0")
    until(lambda: own.health()["status"] == "degraded")
    assert own.health()["faults"] == ["subnet lab: there is no interface br0"]
    own.netns.ip("link", "add", "br0", "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
    own.netns.ip("link", "set", "br0", "up")
    own.netns.ip("addr", "add", "10.77.0.1/24", "dev", "br0")
    until(lambda: own.health()["status"] == "ok")
    guest = own.guest(MAC)
    assert guest.dhcp() == "10.77.0.100"
    assert guest.curl(f"{BASE}/healthz")
    assert own.log.read_text().count("there is no interface br0") == 1


def test_new_reservation_is_served_and_everything_is_kept_without_control(own):
    guest = own.guest(MAC)
    assert guest.dhcp() == "10.77.0.100"
    subnet = {
        **own.control.config["subnets"][0],
        "reservations": [{"mac": OTHER, "address": "10.77.0.7", "hostname": "n2"}],
    }
    own.control.change(revision=2, subnets=[subnet])
    other = own.guest(OTHER)
    until(lambda: "revision=2" in own.log.read_text())
    assert other.dhcp() == "10.77.0.7"
    own.control.stop()
    assert finish(own.process) == 0
    own.start()
    assert own.health()["control"] == "down"
    assert other.dhcp() == "10.77.0.7"
    assert guest.dhcp() == "10.77.0.100"
    assert "own disk" in guest.curl(f"{BASE}/boot.ipxe?mac={MAC}")
    own.socket.unlink(missing_ok=True)
    own.control.start(own.socket)
    until(lambda: own.health()["control"] == "up")
    until(lambda: any(lease["mac"] == OTHER for lease in own.control.leases))


def test_killed_process_keeps_its_promises(own):
    guest = own.guest(MAC)
    address = guest.dhcp()
    own.process.kill()
    own.process.wait()
    until(lambda: not own.netns.run("ss", "-Hlun", "sport = :67").strip())
    own.start()
    assert own.guest(OTHER).dhcp() != address
    assert guest.dhcp() == address


def test_port_in_use_is_named_and_the_rest_is_served(tmp_path):
    netns = Netns()
    control = FakeControl(netboot_config("br0"))
    control.start(tmp_path / "state" / "run" / "control.sock")
    (tmp_path / "state" / "boot").mkdir()
    listen = "import socket, time; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('10.77.0.1', 53)); time.sleep(60)"
    blocker = netns.popen([sys.executable, "-c", listen])
    guest = netns.guest(MAC)
    try:
        until(lambda: netns.run("ss", "-Hlun", "sport = :53").strip())
        process = netns.netboot(tmp_path / "state", tmp_path / "log")
        try:
            assert guest.dhcp() == "10.77.0.100"
            health = "http://127.0.0.1:8080/healthz"
            until(lambda: "degraded" in netns.run("curl", "-sS", health))
            faults = json.loads(netns.run("curl", "-sS", health))["faults"]
            assert faults == ["DNS: cannot listen on br0 10.77.0.1 udp port 53: another program listens there"]
            finish(blocker)
            until(lambda: "degraded" not in netns.run("curl", "-sS", health))
        finally:
            assert finish(process) == 0
    finally:
        finish(blocker)
        guest.close()
        netns.close()
        control.stop()


def test_decline_by_arping_sets_the_address_aside(own):
    """udhcpc -a probes the address and declines it when somebody answers."""
    squatter = own.guest(OTHER)
    squatter.run("ip", "addr", "add", "10.77.0.100/24", "dev", "eth0")
    guest = own.guest(MAC)
    assert guest.dhcp("-a", "-A", "1") == "10.77.0.101"
    assert "10.77.0.100 is used by somebody else; set aside" in own.log.read_text()
