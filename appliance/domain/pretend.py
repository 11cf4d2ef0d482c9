"""How a machine of the `fake` driver behaves: what it reports, how long it takes, when it fails. Pure and repeatable.

Its driver_options: {"agent_delay_s": 0.5, "fail": {"deploy": 0.02, …}}; the kinds of failure are those of FAULTS.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

AGENT_DELAY_S = 0.5
COMMAND_FAULTS = {"inspect": "inspect", "erase": "clean", "write_image": "deploy", "boot_disk": "deploy"}
"""Command → the kind of failure that may strike it; an erase of an undeploy is struck by `undeploy`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the pretend agent says to a command; error None means that it is done."""

    result: dict[str, Any]
    error: str | None


def delay_s(options: Mapping[str, Any]) -> float:
    """Seconds that each thing takes; 0.5 unless the node says otherwise, at most an hour."""
    asked = options.get("agent_delay_s", AGENT_DELAY_S)
    return min(3600.0, max(0.0, float(asked))) if isinstance(asked, int | float) else AGENT_DELAY_S


def strikes(options: Mapping[str, Any], kind: str, occasion: str) -> bool:
    """Whether a fault happens this time. occasion: names the one try, so that looking twice gives one answer."""
    rates = options.get("fail")
    rate = rates.get(kind, 0) if isinstance(rates, Mapping) else 0
    if not isinstance(rate, int | float) or rate <= 0:
        return False
    draw = int.from_bytes(hashlib.sha256(f"{kind} {occasion}".encode()).digest()[:8], "big") / 2**64
    return draw < rate


def answer(node: "Machine", command: str, work: str, occasion: str) -> Answer:
    """The end of a command. work: the kind of flow that asked."""
    kind = "undeploy" if work == "undeploy" else COMMAND_FAULTS.get(command, command)
    if strikes(node.options, kind, occasion):
        return Answer(result={}, error=f"pretended fault: {kind}")
    if command == "inspect":
        return Answer(result={"inventory": inventory(node)}, error=None)
    if command == "erase":
        return Answer(result={"disks": [{"name": "/dev/sda", "method": "metadata", "verified": True}]}, error=None)
    if command == "write_image":
        return Answer(result={"disk": "/dev/sda", "bytes_written": 0, "seconds": 0.0}, error=None)
    return Answer(result={}, error=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The facts of a node that its pretend hardware follows."""

    uuid: str
    macs: tuple[str, ...]
    boot_mode: str
    memory_mib: int
    options: Mapping[str, Any]


def inventory(node: Machine) -> dict[str, Any]:
    """A report as agent.wire.Inventory has it; the same machine always reports the same."""
    return {
        "uuid": node.uuid,
        "serial": f"SIM-{node.uuid[:8]}",
        "manufacturer": "Rackwright",
        "product": "pretend machine",
        "firmware": {"vendor": "Rackwright", "version": "1", "date": ""},
        "boot_mode": node.boot_mode,
        "is_secure_boot": False,
        "boot_mac": node.macs[0] if node.macs else None,
        "cpu": {
            "model": "pretend CPU", "sockets": 2, "cores": 32, "threads": 64, "flags": ["lm", "vmx"],
            "virtualization": "vmx", "architecture": "x86_64",
        },
        "memory_mib": node.memory_mib,
        "dimms": [],
        "disks": [
            {
                "name": "/dev/sda", "size_bytes": 960 * 10**9, "serial": f"D{node.uuid[:8]}", "wwn": None,
                "model": "pretend disk", "bus": "nvme", "is_rotational": False, "by_path": None,
            }
        ],
        "nics": [
            {
                "name": f"eth{number}", "mac": mac, "driver": "pretend", "speed_mbps": 25000, "has_link": True,
                "pci": None, "address": None, "lldp": None,
            }
            for number, mac in enumerate(node.macs)
        ],
        "bmc": None,
        "pci": [],
        "uptime_s": 10.0,
        "timings": {},
    }  # fmt: skip
