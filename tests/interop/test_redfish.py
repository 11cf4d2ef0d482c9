"""Redfish judged by others: sushy, OpenStack's client, asks our virtual BMC; our driver asks sushy-tools' emulator."""

import http.server
import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bmc.breaker import Breaker
from bmc.errors import Denied, Unsupported
from bmc.redfish.client import RedfishClient
from bmc.redfish.driver import RedfishBmc
from bmc.types import BmcTarget, BootDevice, BootOverride, MediaKind, PowerAction, PowerState
from bmc.virtual.redfish_state import Manners
from tests.fakes import ports
from tests.fakes.bmcs import SECRET
from tests.fakes.redfish import certificate, redfish_rig
from tests.interop import clients

ASK = Path(__file__).with_name("ask_redfish.py")
SYSTEM = "27946b59-9e44-4fa7-8e91-f3527a1ef094"
START_S = 30.0
ASK_S = 120.0
# Its machines take 1 to 11 seconds, by lot, to be switched; here they take none.
SETTINGS = """
import random

random.randint = lambda low, high: 0
SUSHY_EMULATOR_LISTEN_IP = "127.0.0.1"
SUSHY_EMULATOR_LISTEN_PORT = {port}
SUSHY_EMULATOR_SSL_CERT = "{tls}/server.pem"
SUSHY_EMULATOR_SSL_KEY = "{tls}/server.key"
SUSHY_EMULATOR_AUTH_FILE = "{folder}/users"
SUSHY_EMULATOR_STATE_DIR = "{folder}"
SUSHY_EMULATOR_FEATURE_SET = "{features}"
SUSHY_EMULATOR_FAKE_DRIVER = True
SUSHY_EMULATOR_FAKE_SYSTEMS = [
    dict(uuid="{system}", name="fake", power_state="Off", nics=[dict(mac="00:5c:52:31:3a:9c", ip="172.22.0.100")])
]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("redfish")


@pytest.fixture(scope="module")
def made(folder):
    return certificate(folder)


MANNERS: dict[str, dict[str, Any]] = {
    "usual": {}, "weak ETags": {"etag": "weak"}, "boot in settings": {"boot": "settings"},
    "media of the manager": {"media_in": "manager"}, "media by a change": {"media_by": "change"},
    "media by protocol": {"media_by": "protocol"}, "tasks": {"tasks": 1},
}  # fmt: skip
ASKED = [(name, way) for name in MANNERS for way in ("session", "basic")]


@pytest.fixture(scope="module")
def seen_by_sushy(made, folder) -> dict[tuple[str, str], dict[str, Any]]:
    """What it saw of services with each of the manners, and in `machine` what it did to the machine behind."""
    with ExitStack() as stack:
        rigs = [stack.enter_context(redfish_rig(made, manners=Manners(**MANNERS[name]))) for name, _ in ASKED]
        questions = [
            {"url": f"https://127.0.0.1:{rig.bmc.tcp_port}", "way": way, "user": "admin", "password": SECRET}
            for rig, (_, way) in zip(rigs, ASKED, strict=True)
        ]
        done = subprocess.run(
            [clients.environment() / "bin" / "python", ASK, folder / "tls" / "ca.pem"],
            input=json.dumps(questions), capture_output=True, text=True, timeout=ASK_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        seen = json.loads(done.stdout)
        for rig, one in zip(rigs, seen, strict=True):
            one["machine"] = (rig.machine.history, rig.machine.once, rig.bmc.open_sessions)
    return dict(zip(ASKED, seen, strict=True))


@pytest.mark.parametrize("asked", ASKED, ids=" by ".join)
def test_sushy_understands_our_virtual_bmc(seen_by_sushy, asked):
    seen = seen_by_sushy[asked]
    assert "fault" not in seen, seen["fault"]
    assert seen["machine"] == (["on", "nmi", "reset", "off"], BootDevice.PXE, 0)
    system = seen["system"]
    assert system["power"] == ["Off", "On", "On", "On", "Off"]
    assert system["boot"] == {"target": "Pxe", "enabled": "Once", "mode": "UEFI"}
    assert system["secure_boot"] == [False, True]
    assert "Nmi" in system["offered"]
    assert seen["media"]["inserted"] == [True, "http://192.0.2.1/a.iso"]
    assert seen["media"]["ejected"] == [False, None]
    assert seen["manager"] == ["1.00", "BMC"]
    assert seen["temperatures"] == [["Inlet Temp", 23.0]]


@contextmanager
def emulator(state: Path, folder: Path, features: str) -> Iterator[int]:
    """sushy-emulator with its fake machines, behind TLS and a password. Gives its port."""
    python = clients.environment() / "bin" / "python"
    hashing = "import bcrypt, sys; print('admin:' + bcrypt.hashpw(sys.stdin.buffer.read(), bcrypt.gensalt(4)).decode())"
    users = subprocess.run(
        [python, "-c", hashing], input=SECRET, capture_output=True, text=True, check=True, timeout=60
    )
    (state / "users").write_text(users.stdout)
    port = ports.free(1)[0]
    settings = state / "emulator.conf"
    settings.write_text(
        SETTINGS.format(port=port, tls=folder / "tls", folder=state, features=features, system=SYSTEM)
    )  # fmt: skip
    with (state / "log").open("w") as log:
        program = clients.environment() / "bin" / "sushy-emulator"
        server = subprocess.Popen([program, "--config", settings], stdout=log, stderr=log, cwd=state)
        try:
            _wait_for(server, port, state / "log")
            yield port
        finally:
            server.terminate()
            server.wait(30)


def _wait_for(server: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    until = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="module", params=["full", "minimum"])
def emulated(request, folder, made, tmp_path_factory):
    """A driver for a machine behind it, the features it was given, and its target."""
    state = tmp_path_factory.mktemp("emulator")
    with emulator(state, folder, request.param) as port:
        target = BmcTarget(
            driver="redfish", address="127.0.0.1", udp_port=port, username="admin", password=SECRET,
            options={"fingerprint": made.fingerprint},
        )  # fmt: skip
        bmc = _driver(target)
        yield bmc, request.param, target
        bmc.close()


def _driver(target: BmcTarget) -> RedfishBmc:
    return RedfishBmc(target, client=RedfishClient(target, breaker=Breaker()))


def test_our_driver_switches_its_machine(emulated):
    bmc, _, _ = emulated
    for action, state in (
        (PowerAction.ON, PowerState.ON), (PowerAction.RESET, PowerState.ON), (PowerAction.CYCLE, PowerState.ON),
        (PowerAction.SOFT_OFF, PowerState.OFF), (PowerAction.ON, PowerState.ON), (PowerAction.OFF, PowerState.OFF),
    ):  # fmt: skip
        bmc.power(action)
        bmc.power_state()  # what was asked last happens when its state is read
        assert bmc.power_state() is state, action


def test_our_driver_sets_what_it_boots_from(emulated):
    """It knows no `Once`: what is to last for one boot lasts, which is told where it would do harm."""
    bmc, _, _ = emulated
    for device in (BootDevice.PXE, BootDevice.DISK):
        for is_uefi in (False, True):
            bmc.set_boot_override(BootOverride(device=device, is_uefi=is_uefi))
            assert bmc.boot_override() == BootOverride(device=device, is_uefi=is_uefi, persistent=True)
    disc = BootOverride(device=BootDevice.CDROM, persistent=True, is_uefi=True)
    bmc.set_boot_override(disc)
    assert bmc.boot_override() == disc
    with pytest.raises(Unsupported, match="cannot boot from bios; it offers Pxe, Cd"):
        bmc.set_boot_override(BootOverride(device=BootDevice.BIOS))
    bmc.set_boot_override(BootOverride(device=BootDevice.NONE))
    assert bmc.boot_override().device is BootDevice.NONE


def test_our_driver_puts_in_and_takes_out_images(emulated, tmp_path):
    bmc, features, _ = emulated
    if features == "minimum":
        with pytest.raises(Unsupported):
            bmc.media()
        return
    (tmp_path / "a.iso").write_bytes(bytes(4096))
    with _file_server(tmp_path) as url:
        for _ in range(2):
            bmc.insert_media(MediaKind.CDROM, f"{url}/a.iso")
        bmc.insert_media(MediaKind.DISK, f"{url}/a.iso")
        assert [slot.image for slot in bmc.media()] == [f"{url}/a.iso"] * 2
    bmc.eject_media([MediaKind.CDROM])
    assert [slot.is_inserted for slot in bmc.media()] == [False, True]
    bmc.eject_media()
    assert not any(slot.is_inserted for slot in bmc.media())


@contextmanager
def _file_server(folder: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  (the name is http.server's)
            """Nobody reads it."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_our_driver_reads_what_it_has_and_says_what_it_has_not(emulated):
    bmc, features, _ = emulated
    info = bmc.info()
    assert (info.guid, info.firmware_version) == (SYSTEM, "" if features == "minimum" else "1.00")
    for absent in (bmc.lan, bmc.event_log):
        with pytest.raises(Unsupported):
            absent()
    if features == "minimum":
        return
    assert bmc.fru() == {"Manufacturer": "Sushy Emulator"}
    assert {one.name for one in bmc.sensors()} >= {"CPU Temp", "Chassis Intake Temp"}
    bmc.set_secure_boot(on=True)
    assert bmc.secure_boot() is True
    bmc.set_secure_boot(on=False)
    assert bmc.secure_boot() is False
    for on_s, state in ((5, "blinking"), (0, "off")):
        bmc.identify(on_s=on_s)
        assert {one.component: one.state for one in bmc.indicators()}["system"] == state
    bmc.power(PowerAction.ON)
    bmc.power_state()
    with pytest.raises(Unsupported, match="Nmi is not supported"):  # it offers it, and its fake machines have none
        bmc.interrupt()
    bmc.power(PowerAction.OFF)


def test_its_password_is_asked_for_and_a_wrong_one_refused(emulated):
    """It has no sessions, and says so only to who has the password."""
    _, _, target = emulated
    wrong = _driver(replace(target, password="wrong"))
    with pytest.raises(Denied):
        wrong.power_state()
    wrong.close()


def test_a_system_that_is_named_by_an_alias_is_found(emulated):
    """It redirects from a machine's name to its UUID."""
    _, _, target = emulated
    named = _driver(replace(target, options={**target.options, "system": "/redfish/v1/Systems/fake"}))
    assert named.power_state() is PowerState.OFF
    named.close()
