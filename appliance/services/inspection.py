"""The end of an inspection: the report is kept, the node and its ports follow it, and the inspection rules are applied.

One transaction of the caller, the node's row locked. Not here: how the report was got (appliance.flows.inspect).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from appliance.domain.inspection_rules import Rule
from appliance.domain.rule_actions import capabilities, capability_text
from appliance.models.node import Inventory, Node
from appliance.services import found_ports, rules_on_nodes

CPU_CAPABILITIES: Mapping[str, str] = {
    "vmx": "cpu_vt", "svm": "cpu_vt", "aes": "cpu_aes", "pse": "cpu_hugepages", "pdpe1gb": "cpu_hugepages_1g",
    "smx": "cpu_txt",
}  # fmt: skip
"""Flag of the CPU -> the capability that schedulers ask for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """add_ports: `disabled`, `pxe` (the interface that booted), `active` (those with an address) or `all`.

    keep_ports: `all`, `present` (of interfaces that the report has) or `added` (that add_ports would add).
    """

    add_ports: str = "pxe"
    keep_ports: str = "all"


def finish(
    session: Session, node: Node, report: dict[str, Any], *, policy: Policy, rules: Sequence[Rule], now: datetime,
    is_made_up: bool = False,
) -> str | None:  # fmt: skip
    """Why the inspection failed after all, or None. is_made_up: the report says nothing new of the node."""
    row = session.get(Inventory, node.id)
    if row is None:
        row = Inventory(node_id=node.id, reported_at=now, report=report)
        session.add(row)
    row.reported_at, row.report, row.plugin_data = now, report, {}
    if not is_made_up:
        node.properties = _with_capabilities({**node.properties, **properties_of(report)}, report)
        if report.get("boot_mode") in {"bios", "uefi"}:
            node.boot_mode = report["boot_mode"]
        if isinstance(report.get("is_secure_boot"), bool):
            node.has_secure_boot = report["is_secure_boot"]
        found_ports.follow(session, node, report, add=policy.add_ports, keep=policy.keep_ports, now=now)
    node.inspection_started_at, node.inspection_finished_at = None, now
    session.flush()
    return rules_on_nodes.apply(session, node, row, rules, now=now)


def properties_of(report: Mapping[str, Any]) -> dict[str, Any]:
    """Ironic's property names. local_gb: of the smallest disk, in whole GiB: what surely fits; 0 without disks."""
    cpu = report.get("cpu") or {}
    sizes = [disk["size_bytes"] for disk in report.get("disks") or [] if isinstance(disk.get("size_bytes"), int)]
    found = {
        "cpus": cpu.get("threads") or cpu.get("cores"),
        "cpu_arch": cpu.get("architecture"),
        "memory_mb": report.get("memory_mib"),
        "local_gb": min(sizes, default=0) // 2**30,
    }
    return {name: value for name, value in found.items() if value is not None}


def _with_capabilities(properties: dict[str, Any], report: Mapping[str, Any]) -> dict[str, Any]:
    """boot_mode and what the CPU can do, beside the capabilities that people wrote."""
    flags = (report.get("cpu") or {}).get("flags") or []
    found = {name: "true" for flag, name in CPU_CAPABILITIES.items() if flag in flags}
    if report.get("boot_mode") in {"bios", "uefi"}:
        found["boot_mode"] = report["boot_mode"]
    if not found:
        return properties
    return {**properties, "capabilities": capability_text({**capabilities(properties.get("capabilities")), **found})}
