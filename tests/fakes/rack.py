"""Values that many tests need: a moment, a vault, an inventory, a node."""

from datetime import UTC, datetime

from appliance.services import node_input
from appliance.services.vault import Vault

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MAC = "52:54:00:77:00:01"


def vault() -> Vault:
    return Vault(bytes(range(32)))


def inventory(mac: str = MAC, *, bmc: bool = True, size_bytes: int = 8 << 30) -> dict:
    """A report as agent.wire.Inventory has it, small."""
    return {
        "uuid": "a1234567-89ab-cdef-a123-4567890abc01",
        "serial": "S1",
        "manufacturer": "Lab",
        "product": "vnode",
        "firmware": {},
        "boot_mode": "bios",
        "is_secure_boot": False,
        "boot_mac": mac,
        "cpu": {"model": "QEMU", "threads": 1, "flags": ["lm"], "architecture": "x86_64"},
        "memory_mib": 1024,
        "dimms": [],
        "disks": [{"name": "/dev/vda", "size_bytes": size_bytes, "serial": "d0", "bus": "virtio"}],
        "nics": [{"name": "eth0", "mac": mac}],
        "bmc": {"address": "10.77.0.201"} if bmc else None,
        "pci": [],
        "uptime_s": 10.0,
        "timings": {},
    }


def wish(name: str | None = "n1", **changes) -> node_input.NewNode:
    given = {
        "name": name,
        "driver": "ipmi",
        "bmc": node_input.BmcAccess(address="10.77.0.201", username="admin", password="hunter2-canary"),
        "macs": [MAC],
    }
    return node_input.NewNode(**(given | changes))
