"""On a real pair of cables in a network namespace of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.machine_tree import MachineTree

_LISTEN = """
import json, sys
from pathlib import Path
from agent import neighbours
from agent.host import Host
found, reports = {}, []
print("ready", flush=True)
for _ in range(60):
    if not found:
        neighbours.listen(Host(Path(sys.argv[1])), found, lambda: reports.append(1), for_s=1)
print(json.dumps([found, len(reports)]))
"""
_SEND = """
import time
from scapy.all import Ether, conf, sendp
from scapy.contrib.lldp import *
frame = Ether(dst="01:80:c2:00:00:0e", src="02:00:00:00:00:01") / LLDPDUChassisID(subtype=4, id="02:00:00:00:00:01")
frame = frame / LLDPDUPortID(subtype=5, id=b"port-7") / LLDPDUTimeToLive(ttl=120) / LLDPDUEndOfLLDPDU()
sendp(frame, iface="agtpeer", count=600, inter=0.1, verbose=False)
"""


@pytest.fixture
def space():
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    name = f"agent-lldp-{os.getpid()}"
    for argv in (
        ["ip", "netns", "add", name],
        ["ip", "-n", name, "link", "add", "agtcard", "type", "veth", "peer", "name", "agtpeer"],
        ["ip", "-n", name, "link", "set", "agtpeer", "up"],
    ):
        subprocess.run(argv, check=True)
    yield name
    subprocess.run(["ip", "netns", "del", name], check=True)


def test_a_switch_port_is_heard(space, tmp_path):
    MachineTree(tmp_path).nic("agtcard", "52:54:00:00:00:01")
    python = ["ip", "netns", "exec", space, sys.executable, "-c"]
    tree = Path(__file__).parents[2]
    argv = [*python, _LISTEN, str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=tree) as listener:
        assert listener.stdout.readline() == "ready\n"
        with subprocess.Popen([*python, _SEND], cwd=tree) as sender:
            said = listener.communicate(timeout=100)[0]
            sender.kill()
    assert said == '[{"agtcard": {"chassis_id": "02:00:00:00:00:01", "port_id": "port-7"}}, 1]\n'
