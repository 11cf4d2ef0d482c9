"""A machine's report (agent.wire.Inventory) in the words of the field: what clients read and inspection rules ask."""

from collections.abc import Mapping
from typing import Any


def of_the_field(report: Mapping[str, Any]) -> dict[str, Any]:
    """Our report (agent.wire.Inventory) as the agent of the field would have written it."""
    cpu, bmc, memory_mib = report.get("cpu") or {}, report.get("bmc") or {}, report.get("memory_mib") or 0
    return {
        "bmc_address": bmc.get("address"),
        "bmc_mac": bmc.get("mac"),
        "boot": {"current_boot_mode": report.get("boot_mode"), "pxe_interface": report.get("boot_mac")},
        "cpu": {
            "architecture": cpu.get("architecture"), "count": cpu.get("threads"), "model_name": cpu.get("model"),
            "flags": cpu.get("flags", []), "socket_count": cpu.get("sockets"),
        },
        "disks": [_disk(disk) for disk in report.get("disks", [])],
        "interfaces": [_interface(nic) for nic in report.get("nics", [])],
        "memory": {"physical_mb": memory_mib, "total": memory_mib * 1024 * 1024},
        "system_vendor": {
            "manufacturer": report.get("manufacturer"), "product_name": report.get("product"),
            "serial_number": report.get("serial"), "firmware": report.get("firmware") or {},
        },
        "pci_devices": report.get("pci", []),
    }  # fmt: skip


def _disk(disk: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": disk.get("name"), "model": disk.get("model"), "size": disk.get("size_bytes"),
        "rotational": disk.get("is_rotational"), "serial": disk.get("serial"), "wwn": disk.get("wwn"),
        "by_path": disk.get("by_path"),
    }  # fmt: skip


def _interface(nic: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": nic.get("name"), "mac_address": nic.get("mac"), "ipv4_address": nic.get("address"),
        "has_carrier": nic.get("has_link"), "speed_mbps": nic.get("speed_mbps"), "driver": nic.get("driver"),
        "pci_address": nic.get("pci"), "lldp": nic.get("lldp"),
    }  # fmt: skip
