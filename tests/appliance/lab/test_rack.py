"""Real machines: QEMU, namespace, taps, BMC. Diskless and without an appliance, so nothing boots further than iPXE."""

import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from appliance.lab import checks, control, ledger, netns, processes, rack, spec
from appliance.lab.control import Action
from appliance.lab.errors import LabFailed

pytestmark = [pytest.mark.story, pytest.mark.timeout(300)]
LACKS = checks.lacks(machines=2, memory_mib=256)
if LACKS:
    pytestmark.append(pytest.mark.skip(reason="; ".join(lack.what for lack in LACKS)))


SPEAKER = """
import socket
door = socket.create_server(("10.77.0.1", 99))
while True:
    with door.accept()[0] as caller:
        caller.sendall(b"hello")
"""


def a_rack(firmwares=("bios",)):
    return spec.rack(list(firmwares), namespace=f"lab-test-{os.getpid()}", memory_mib=256, disk_gib=0)


@pytest.fixture
def run_dir(tmp_path):
    yield tmp_path
    rack.down(tmp_path)


def until(found, *, limit_s=30.0):
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if found():
            return True
        time.sleep(0.05)
    return False


def ipmi(raised, *words, k=1):
    argv = ["ipmitool", "-I", "lanplus", "-C", "17", "-H", f"10.77.0.{200 + k}", "-U", "admin", "-P", "factory", *words]
    return raised.run_inside(argv, timeout_s=30)


def is_gone(pid):
    """Ended; init may not have buried it yet."""
    return processes.identify("", pid) is None


def qemu_pid(raised, name="node1"):
    return control.ask(raised.directory(name), Action.STATUS)["qemu_pid"]


def console(raised, name="node1"):
    file = raised.directory(name) / rack.CONSOLE_FILE
    return file.read_text(errors="replace") if file.exists() else ""


def test_bios_and_uefi_reach_network_boot_when_ipmitool_powers_them(run_dir):
    raised = rack.up(a_rack(["bios", "uefi"]), run_dir)
    assert "is off" in ipmi(raised, "power", "status", k=2)
    for k in (1, 2):
        ipmi(raised, "chassis", "bootdev", "pxe", k=k)
        ipmi(raised, "power", "on", k=k)
        assert until(lambda k=k: "is on" in ipmi(raised, "power", "status", k=k))
    assert until(lambda: "iPXE initialising devices" in console(raised, "node1"))
    assert until(lambda: "Start PXE over IPv4" in console(raised, "node2"))
    ipmi(raised, "power", "off")
    assert "is off" in ipmi(raised, "power", "status")


def test_power_button_plug_and_cable(run_dir):
    raised = rack.up(a_rack(), run_dir)
    raised.press_button("node1")
    assert raised.power("node1") == "on"
    first = qemu_pid(raised)
    raised.power_cut("node1")
    assert raised.power("node1") == "off"
    assert is_gone(first)
    assert "is off" in ipmi(raised, "power", "status"), "the BMC is there again"
    raised.unplug("node1")
    assert rack.status(run_dir)["machines"][0]["has_bmc"] is False
    raised.plug("node1")
    ipmi(raised, "power", "on")
    assert until(lambda: raised.power("node1") == "on"), "a BMC does not wait for the machine"
    raised.cut("node1")
    link = raised.run_inside(["ip", "-o", "link", "show", "tap1"], timeout_s=10)
    assert "state DOWN" in link
    raised.mend("node1")
    assert raised.power("node1") == "on", "a cable is not a power cord"


def test_up_may_be_repeated_and_completes_what_died(run_dir):
    wanted = a_rack(["bios", "bios"])
    raised = rack.up(wanted, run_dir)
    before = rack.status(run_dir)["processes"]
    raised.press_button("node1")
    qemu = qemu_pid(raised)
    assert rack.up(wanted, run_dir) == raised == rack.find(run_dir)
    assert rack.status(run_dir)["processes"] == before
    os.kill(before["machine:node1"], signal.SIGKILL)
    assert until(lambda: is_gone(qemu)), "QEMU dies with its supervisor"
    assert until(lambda: is_gone(before["machine:node1"]))
    rack.up(wanted, run_dir)
    after = rack.status(run_dir)["processes"]
    assert after["machine:node2"] == before["machine:node2"]
    assert after["machine:node1"] != before["machine:node1"]
    assert raised.power("node1") == "off"
    with pytest.raises(LabFailed, match="a different rack"):
        rack.up(a_rack(["uefi"]), run_dir)


def test_up_starts_again_what_dies_while_it_looks(run_dir):
    wanted = a_rack()
    raised = rack.up(wanted, run_dir)
    supervisor = rack.status(run_dir)["processes"]["machine:node1"]
    os.kill(supervisor, signal.SIGSTOP)
    with ThreadPoolExecutor() as pool:
        again = pool.submit(rack.up, wanted, run_dir)
        time.sleep(0.5)
        assert not again.done(), "it is waiting for an answer"
        os.kill(supervisor, signal.SIGKILL)
        assert again.result(60) == raised
    assert rack.status(run_dir)["processes"]["machine:node1"] != supervisor
    assert raised.power("node1") == "off"


def test_down_leaves_nothing_but_logs(run_dir):
    wanted = a_rack(["bios", "uefi"])
    raised = rack.up(wanted, run_dir)
    raised.press_button("node1")
    pids = [qemu_pid(raised), *rack.status(run_dir)["processes"].values()]
    rack.down(run_dir)
    assert not netns.exists(wanted.namespace)
    assert all(is_gone(pid) for pid in pids)
    assert {path.suffix for path in (run_dir / "node1").iterdir()} == {".log", ".json"}
    assert rack.status(run_dir) == {"is_up": False, "machines": [], "forwards": {}}
    rack.down(run_dir)


def test_a_namespace_of_somebody_else_is_not_taken(run_dir):
    wanted = a_rack()
    netns.create(wanted)
    try:
        with pytest.raises(LabFailed, match="exists already"):
            rack.up(wanted, run_dir)
        assert ledger.load(run_dir) is None
    finally:
        netns.delete(wanted.namespace)


def test_a_door_leads_inside_and_a_program_runs_there_until_down(run_dir, tmp_path):
    raised = rack.up(a_rack(), run_dir)
    serve = ["python3", "-c", SPEAKER]
    started = raised.start("speaker", serve, log=tmp_path / "speaker.log")
    assert raised.start("speaker", serve, log=tmp_path / "speaker.log") == started
    port = raised.forward("10.77.0.1", 99)
    assert raised.forward("10.77.0.1", 99) == port
    assert until(lambda: _read(port) == b"hello", limit_s=30)
    raised.stop("speaker", grace_s=1.0)
    assert not started.is_alive()
    assert raised.process("speaker") is None


def _read(port):
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        return connection.recv(5)


def test_the_children_of_a_program_go_with_it_even_when_it_was_killed(run_dir, tmp_path):
    raised = rack.up(a_rack(), run_dir)
    note = tmp_path / "pid"
    child = f"import os,time; p=os.fork(); p or open({str(note)!r},'w').write(str(os.getpid())); time.sleep(100)"
    parent = raised.start("parent", ["python3", "-c", child], log=tmp_path / "log")
    assert until(lambda: note.exists() and note.read_text())
    os.kill(parent.pid, signal.SIGKILL)
    assert until(lambda: not parent.is_alive())
    rack.down(run_dir)
    assert is_gone(int(note.read_text()))


def test_several_processes_may_use_one_rack(run_dir):
    raised = rack.up(a_rack(), run_dir)
    with ThreadPoolExecutor() as pool:
        seen = list(pool.map(lambda _: raised.power("node1"), range(8)))
    assert seen == ["off"] * 8
