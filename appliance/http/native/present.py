"""How things look in the native API. The one serializer of nodes: secrets are masked here and nowhere else."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from appliance.http.json_body import stamp
from appliance.models import agent_command
from appliance.models.event import Event
from appliance.models.flow import Flow
from appliance.models.image import Image
from appliance.models.network import Lease, Subnet
from appliance.models.node import Node, Sighting
from appliance.services import events, lifecycle
from appliance.services.vault import MASK


def node(session: Session, row: Node) -> dict[str, Any]:
    """A node, with what it waits for and how far its agent is."""
    return nodes(session, [row])[0]


def nodes(session: Session, rows: Sequence[Node]) -> list[dict[str, Any]]:
    """Many nodes for the price of two more queries, however many they are."""
    ids = [row.id for row in rows]
    waits, progress = lifecycle.waits(session, ids), agent_command.progress_of(session, ids)
    return [_node(row) | {"waiting": waits.get(row.id), "progress": progress.get(row.id)} for row in rows]


def _node(row: Node) -> dict[str, Any]:
    return {
        "uuid": row.uuid,
        "name": row.name,
        "version": row.version,
        "provision_state": row.provision_state,
        "target_provision_state": row.target_provision_state,
        "power_state": row.power_state,
        "target_power_state": row.target_power_state,
        "driver": row.driver,
        "bmc": {
            "address": row.bmc_address,
            "udp_port": row.bmc_udp_port,
            "username": row.bmc_username,
            "password": MASK if row.bmc_secret else None,
            "verified_at": stamp(row.bmc_verified_at),
        },
        "maintenance": row.maintenance,
        "maintenance_reason": row.maintenance_reason,
        "fault": row.fault,
        "last_error": row.last_error,
        "failure": row.failure,
        "boot_mode": row.boot_mode,
        "architecture": row.architecture,
        "resource_class": row.resource_class,
        "rack": row.rack,
        "rack_unit": row.rack_unit,
        "properties": row.properties,
        "extra": row.extra,
        "driver_options": row.driver_options,
        "macs": [port.mac for port in row.ports],
        "ports": [
            {"uuid": port.uuid, "mac": port.mac, "name": port.name, "address": port.address, "is_pxe": port.is_pxe}
            for port in row.ports
        ],
        "instance": _instance(row),
        "agent": None
        if row.agent_seen_at is None
        else {"address": row.agent_address, "version": row.agent_version, "seen_at": stamp(row.agent_seen_at)},
        "created_at": stamp(row.created_at),
        "updated_at": stamp(row.updated_at),
        "provision_updated_at": stamp(row.provision_updated_at),
    }


def _instance(row: Node) -> dict[str, Any] | None:
    if row.instance is None:
        return None
    shown = {key: row.instance.get(key) for key in ("image", "hostname")}
    return shown | {"address": row.instance_address}


def flow(session: Session, row: Flow) -> dict[str, Any]:
    """A piece of work with its steps, and its node."""
    return lifecycle.describe_flow(session, row, detail=True) | {"node": events.labels(session, [row]).get(row.node_id)}


def flows(session: Session, rows: Sequence[Flow]) -> list[dict[str, Any]]:
    """Many pieces of work, without their steps."""
    labels = events.labels(session, rows)
    return [lifecycle.describe_flow(session, row, detail=False) | {"node": labels.get(row.node_id)} for row in rows]


def subnet(row: Subnet) -> dict[str, Any]:
    return {
        "uuid": row.uuid, "name": row.name, "cidr": row.cidr, "pool": f"{row.pool_start}-{row.pool_end}",
        "interface": row.interface, "gateway": row.gateway, "domain": row.domain, "lease_s": row.lease_s,
        "created_at": stamp(row.created_at),
    }  # fmt: skip


def lease(row: Lease) -> dict[str, Any]:
    return {
        "address": row.address, "mac": row.mac, "hostname": row.hostname, "subnet": row.subnet,
        "expires_at": stamp(row.expires_at),
    }  # fmt: skip


def sighting(row: Sighting) -> dict[str, Any]:
    report = row.report or {}
    return {
        "mac": row.mac, "address": row.address, "firmware": row.firmware, "times_seen": row.times_seen,
        "first_seen_at": stamp(row.first_seen_at), "last_seen_at": stamp(row.last_seen_at),
        "product": report.get("product"), "serial": report.get("serial"), "memory_mib": report.get("memory_mib"),
    }  # fmt: skip


def image(row: Image, *, waits_for: str = "") -> dict[str, Any]:
    """waits_for: what has to end before its bytes are fetched, or looked at."""
    return {
        "uuid": row.uuid, "name": row.label, "status": row.status, "problem": row.problem,
        "waits_for": waits_for or None, "disk_format": row.disk_format,
        "not_deployable": row.not_deployable, "owner": row.owner, "visibility": row.visibility,
        "protected": row.is_protected,
        "size_bytes": row.size_bytes, "virtual_size_bytes": row.virtual_size_bytes, "sha256": row.sha256,
        "properties": row.properties, "created_at": stamp(row.created_at), "updated_at": stamp(row.updated_at),
    }  # fmt: skip


def event(row: Event, *, node_label: str | None) -> dict[str, Any]:
    return {
        "id": row.id, "at": stamp(row.at), "kind": row.kind, "actor": row.actor, "message": row.message,
        "node": node_label, "mac": row.mac, "data": row.data, "duration_s": row.duration_s,
    }  # fmt: skip
