"""The virtual BMC judged by ipmitool, with both suites, and by pyghmi's own client."""

import contextlib
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time

import pytest

from bmc.types import BootDevice
from bmc.virtual.faults import Faults
from bmc.virtual.sel import Event
from tests.fakes.bmcs import SECRET, make_bmc, rig
from tests.fakes.machine import PretendMachine

pytestmark = pytest.mark.skipif(shutil.which("ipmitool") is None, reason="needs ipmitool (package ipmitool)")

suites = pytest.mark.parametrize("suite", [3, 17])


@pytest.fixture
def one():
    with rig() as made:
        yield made


@pytest.fixture
def tool(one):
    def run(*words, suite=17, password=SECRET, ok=True):
        done = subprocess.run(
            one.ipmitool(*words, suite=suite, password=password),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode == 0) is ok, done.stdout + done.stderr
        return done.stdout if ok else done.stdout + done.stderr

    return run


@suites
def test_power(one, tool, suite):
    assert "is off" in tool("power", "status", suite=suite)
    tool("power", "reset", suite=suite, ok=False)
    tool("power", "on", suite=suite)
    assert "is on" in tool("power", "status", suite=suite)
    for word in ("reset", "cycle", "diag", "soft"):
        tool("power", word, suite=suite)
    assert "is off" in tool("power", "status", suite=suite)
    assert one.machine.history == ["on", "reset", "off", "on", "nmi", "soft"]


def test_boot_device(one, tool):
    tool("chassis", "bootdev", "pxe", "options=efiboot")
    read = tool("chassis", "bootparam", "get", "5")
    assert "Force PXE" in read
    assert "BIOS EFI boot" in read
    assert "only next boot" in read
    assert (one.machine.once, one.machine.persistent) == (BootDevice.PXE, BootDevice.NONE)
    tool("chassis", "bootdev", "disk", "options=persistent")
    assert "all future boots" in tool("chassis", "bootparam", "get", "5")
    assert (one.machine.once, one.machine.persistent) == (None, BootDevice.DISK)
    assert "Boot Flag Valid" in tool("chassis", "bootparam", "get", "5")


def test_boot_device_for_one_boot_is_gone_after_it(one, tool):
    tool("chassis", "bootdev", "pxe")
    tool("power", "on")
    assert "Boot Flag Invalid" in tool("chassis", "bootparam", "get", "5")


@suites
def test_sensors_events_and_fru(one, tool, suite):
    sensors = tool("sdr", "list", suite=suite)
    assert re.search(r"Inlet Temp +\| 21 degrees C +\| ok", sensors)
    assert re.search(r"Fan 1 +\| 0 RPM", sensors)
    assert re.search(r"CPU Temp +\| no reading", sensors)
    assert "42.000" in tool("sensor", "list", suite=suite)
    assert "Presence detected" in tool("sdr", "elist", suite=suite)
    one.bmc.log_event(Event(sensor_type=0x12, sensor_number=1, offset=1))
    assert "OEM System boot event" in tool("sel", "list", suite=suite)
    assert "Entries          : 1" in tool("sel", "info", suite=suite)
    tool("sel", "clear", suite=suite)
    assert "Entries          : 0" in tool("sel", "info", suite=suite)
    fru = tool("fru", suite=suite)
    assert re.search(r"Product Serial +: SN-0001", fru)
    assert re.search(r"Board Product +: vnode", fru)
    assert re.search(r"Chassis Type +: Rack Mount Chassis", fru)


def test_who_it_is(tool):
    assert re.search(r"IPMI Version +: 2.0", tool("mc", "info"))
    assert "12345678-1234-4234-8234-123456789abc" in tool("mc", "guid")
    lan = tool("lan", "print", "1")
    for words in ("Static Address", "10.0.0.5", "255.255.255.0", "52:54:00:12:34:56", "10.0.0.1", "3,17"):
        assert words in lan
    ciphers = tool("channel", "getciphers", "ipmi", "1")
    assert re.findall(r"^(\d+) ", ciphers, re.MULTILINE) == ["3", "17"]
    assert "802.3 LAN" in tool("channel", "info", "1")
    assert re.search(r"Enabled +: true", tool("sol", "info", "1"))
    tool("chassis", "identify", "5")
    tool("chassis", "status")
    tool("mc", "selftest")


def test_a_new_user_logs_in_and_a_disabled_one_does_not(one, tool):
    tool("user", "set", "name", "4", "bob")
    tool("user", "set", "password", "4", "hunter22")
    tool("channel", "setaccess", "1", "4", "ipmi=on", "link=on", "privilege=3")
    tool("user", "enable", "4")
    assert re.search(r"4 +bob .*OPERATOR", tool("user", "list", "1"))
    tool("user", "test", "4", "16", "hunter22")
    tool("user", "test", "4", "16", "wrong", ok=False)
    bob = ["bob" if word == "admin" else word for word in one.ipmitool("-L", "OPERATOR", "power", "status")]
    bob = ["hunter22" if word == SECRET else word for word in bob]
    assert subprocess.run(bob, capture_output=True, timeout=60, check=False).returncode == 0
    tool("user", "disable", "4")
    assert subprocess.run(bob, capture_output=True, timeout=60, check=False).returncode != 0


@pytest.mark.parametrize("suite", [0, 1, 15])
def test_other_suites_are_refused(tool, suite):
    assert "no matching cipher suite" in tool("power", "status", suite=suite, ok=False)


@suites
def test_a_wrong_password_is_refused(tool, suite):
    tool("power", "status", suite=suite, password="wrong", ok=False)


@suites
def test_serial_console(one, suite):
    child, terminal = pty.fork()
    if child == 0:
        command = one.ipmitool("sol", "activate", suite=suite)
        os.execvp(command[0], command)
    try:
        assert b"operational" in read_until(terminal, b"operational")
        os.write(terminal, b"hello\r")
        assert b"HELLO" in read_until(terminal, b"HELLO")
        one.machine.say(b"x" * 3000 + b"end of flood")
        assert b"end of flood" in read_until(terminal, b"end of flood")
        os.write(terminal, b"~.")
        read_until(terminal, b"terminated")
    finally:
        os.close(terminal)
        os.waitpid(child, 0)
    # The terminal turns the one into the other until ipmitool has made it raw.
    assert one.machine.typed in (b"hello\r", b"hello\n")


def read_until(terminal, words, seconds=10.0):
    heard = b""
    end = time.monotonic() + seconds
    while words not in heard and time.monotonic() < end:
        if select.select([terminal], [], [], 0.1)[0]:
            with contextlib.suppress(OSError):
                heard += os.read(terminal, 4096)
    return heard


PYGHMI = """
import sys
from pyghmi.ipmi import command
c = command.Command("127.0.0.1", "admin", sys.argv[2], port=int(sys.argv[1]))
print(c.get_power()["powerstate"], c.ipmi_session.attemptedhash)
c.set_power("on"); c.set_bootdev("network", persist=True, uefiboot=True)
print(c.get_bootdev())
print([s.name for s in c.get_sensor_data()])
print(c.get_net_configuration()["ipv4_address"])
print(sorted(u["name"] for u in c.get_users().values()))
print(len(list(c.get_event_log())))
print(dict(c.get_inventory())["System"]["Serial Number"])
"""


def test_pyghmi_as_it_comes(one):
    done = subprocess.run(
        [sys.executable, "-c", PYGHMI, str(one.bmc.udp_port), SECRET],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert lines[0] == "off 256", done.stderr
    assert "'network'" in lines[1]
    assert "'uefimode': True" in lines[1]
    assert "Inlet Temp" in lines[2]
    assert lines[3:] == ["10.0.0.5/24", "['admin']", "1", "SN-0001"]


def test_a_lossy_line_is_survived_by_ipmitool():
    with rig(faults=Faults(loss=0.05, seed=4), is_on=True) as lossy:
        done = subprocess.run(
            [*lossy.ipmitool("power", "status")], capture_output=True, text=True, timeout=60, check=False
        )
    assert "is on" in done.stdout


def test_an_address_in_use_is_told_and_nothing_leaks(one):
    second = make_bmc(PretendMachine(), udp_port=one.bmc.udp_port)
    with pytest.raises(OSError, match="in use"):
        second.start()
    second.stop()
