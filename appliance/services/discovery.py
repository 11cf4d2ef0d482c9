"""Unknown machines: what their report must look like, whether they become nodes, and how their BMC becomes ours."""

import ipaddress
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain import names, untrusted
from appliance.domain.boot import Discovery
from appliance.domain.errors import Conflict, Invalid
from appliance.models import agent_command, event
from appliance.models.agent_command import AgentCommand
from appliance.models.node import Node, Port, Sighting
from appliance.services import node_input, nodes
from appliance.services.vault import Vault

BMC_USER = "rackwright"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """discovery: what becomes of unknown machines. in_band_bmc: whether the agent may make our account on the BMC."""

    discovery: Discovery
    in_band_bmc: bool


def check_report(report: Any) -> dict[str, Any]:
    """An inventory with its shape, sizes and texts checked; unknown keys are kept, absurd values refused."""
    if not isinstance(report, dict):
        raise Invalid("an inventory is an object")
    checked: dict[str, Any] = untrusted.tree(report)
    for key in ("nics", "disks"):
        if not isinstance(checked.get(key), list) or not all(isinstance(item, dict) for item in checked[key]):
            raise Invalid(f"inventory.{key} is a list of objects")
    for nic in checked["nics"]:
        nic["mac"] = names.mac(str(nic.get("mac", "")))
    for disk in checked["disks"]:
        size = disk.get("size_bytes")
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 2**63:
            raise Invalid("inventory.disks[].size_bytes is a number of bytes")
    memory = checked.get("memory_mib", 0)
    if not isinstance(memory, int) or isinstance(memory, bool) or not 0 <= memory < 2**31:
        raise Invalid("inventory.memory_mib is a number of MiB")
    return checked


def consider(session: Session, vault: Vault, sighting: Sighting, *, policy: Policy, now: datetime) -> Node | None:
    """Make a node of a sighted machine when the policy says so. A MAC that another node owns keeps the two apart."""
    if policy.discovery is not Discovery.ENROLL or sighting.report is None:
        return None
    report = sighting.report
    macs = list(dict.fromkeys([sighting.mac, *(nic["mac"] for nic in report["nics"])]))
    owner = session.scalar(select(Node).join(Port).where(Port.mac.in_(macs)))
    if owner is not None:
        text = f"machine {sighting.mac} reports a MAC address that belongs to {owner.label}; it was not enrolled"
        event.record(session, at=now, kind="alarm", actor="agent", node_id=owner.id, mac=sighting.mac, message=text)
        return None
    others = select(Sighting.mac).where(Sighting.mac.in_(macs[1:]), Sighting.agent_session_hash.is_not(None))
    if rival := session.scalar(others.limit(1)):
        text = f"machine {sighting.mac} reports {rival}, on which an agent of its own runs; it was not enrolled"
        event.record(session, at=now, kind="alarm", actor="agent", mac=sighting.mac, message=text)
        return None
    wish = node_input.NewNode(
        name=_free_name(session, sighting.mac), driver="ipmi" if report.get("bmc") else "manual", macs=macs,
        boot_mode=report.get("boot_mode") if report.get("boot_mode") in node_input.BOOT_MODES else None,
    )  # fmt: skip
    try:
        node = nodes.create(session, vault, wish, actor="discovery", now=now)
    except Conflict as cause:
        event.record(
            session, at=now, kind="alarm", actor="discovery", mac=sighting.mac, message=f"not enrolled: {cause}"
        )
        return None
    event.record(
        session, at=now, kind="agent.alive", actor="agent", node_id=node.id, mac=sighting.mac,
        message=f"agent called back from {sighting.address}",
    )  # fmt: skip
    return node


def _free_name(session: Session, mac: str) -> str:
    """`node-` and the last three octets of the boot MAC; the whole MAC when that is taken."""
    short = "node-" + mac.replace(":", "")[6:]
    taken = session.scalar(select(Node.id).where(Node.name == short))
    return short if taken is None else "node-" + mac.replace(":", "")


def set_up_bmc(
    session: Session, vault: Vault, node: Node, report: Mapping[str, Any], *, policy: Policy, now: datetime
) -> None:
    """Ask the agent for an account on a BMC that nobody gave us access to. Asked once per node and boot."""
    if not policy.in_band_bmc or node.driver != "ipmi" or node.bmc_secret is not None or not report.get("bmc"):
        return
    secret = vault.seal(orjson.dumps({"password": secrets.token_urlsafe(12)}), f"node:{node.uuid}:command")
    agent_command.ask(
        session, node_id=node.id, key=f"setup-bmc:{node.boot_count}", name="setup_bmc", params={"username": BMC_USER},
        secret_params=secret, now=now,
    )  # fmt: skip


def bmc_was_set_up(
    session: Session, vault: Vault, node: Node, row: AgentCommand, result: Mapping[str, Any], *, now: datetime
) -> None:
    """The account exists: keep the access. A BMC that another node has is refused and said."""
    if row.secret_params is None or not result.get("address"):
        return
    password = orjson.loads(vault.open(row.secret_params, f"node:{node.uuid}:command"))["password"]
    address = _bmc_address(str(result["address"]))
    if address is None:
        text = "the agent named a BMC address that no BMC can have; access was not stored"
        event.record(session, at=now, kind="alarm", actor="agent", node_id=node.id, message=text)
        return
    same = select(Node).where(Node.bmc_address == address, Node.driver == node.driver, Node.id != node.id)
    other = session.scalars(same.limit(1)).first()
    if other is not None:
        text = f"the BMC at {address} belongs to {other.label} already; access was not stored"
        event.record(session, at=now, kind="alarm", actor="agent", node_id=node.id, message=text)
        return
    nodes.set_bmc(node, vault, node_input.BmcAccess(address=address, username=BMC_USER, password=password))
    event.record(
        session,
        at=now,
        kind="bmc.set-up",
        actor="agent",
        node_id=node.id,
        message=f"BMC found in-band at {address}; our account made",
    )


def _bmc_address(text: str) -> str | None:
    """The address when a BMC may have it: a machine that lies must not make us log in to ourselves or to a group."""
    try:
        address = ipaddress.ip_address(names.ip_address(text))
    except Invalid:
        return None
    is_odd = address.is_loopback or address.is_unspecified or address.is_multicast or address.is_link_local
    return None if is_odd or address.is_reserved else str(address)
