"""A node is enrolled by the shortest way: one statement for it and one for its event, nothing read back.

Clients of OpenStack make nodes so, by the thousand; services.nodes.create adds ports for the MAC addresses given.
"""

from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Insert, insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from appliance.domain.errors import Conflict
from appliance.models import event
from appliance.models.columns import new_uuid
from appliance.models.node import Node
from appliance.services import node_rules
from appliance.services.node_input import NewNode
from appliance.services.vault import Vault


@cache
def _usual() -> dict[str, Any]:
    """What each column holds when nobody says."""
    usual: dict[str, Any] = {}
    for column in Node.__table__.columns:
        default = column.default
        if column.name == "id":
            continue
        usual[column.name] = None if default is None else default.arg({}) if default.is_callable else default.arg
    return usual


@cache
def _statement() -> Insert:
    return insert(Node.__table__)  # type: ignore[arg-type]  # a mapped table is a Table


def enroll(
    session: Session, vault: Vault, wish: NewNode, *, actor: str, now: datetime, state: str = "enroll",
    maintenance: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """The columns of the new node. Raises Conflict naming what another node has, Invalid for what is not there.

    wish: without MAC addresses.
    """
    values = _usual() | _columns(session, vault, wish) | {
        "created_at": now, "updated_at": now, "provision_updated_at": now, "provision_state": state,
        "maintenance": maintenance,
    }  # fmt: skip
    node_rules.refuse_bmc(session, wish.bmc, wish.driver, but_not=None)
    try:
        key = session.connection().execute(_statement(), values).inserted_primary_key
    except IntegrityError as cause:
        raise _taken(cause, wish, values["uuid"]) from cause
    label = wish.name or values["uuid"]
    event.record_all(session, [{
        "at": now, "kind": "node.enrolled", "actor": actor, "node_id": key[0] if key else None,
        "message": f"{label} enrolled", "mac": None, "data": {}, "duration_s": None,
    }])  # fmt: skip
    return values


def _columns(session: Session, vault: Vault, wish: NewNode) -> dict[str, Any]:
    uuid, bmc, secrets = wish.details.uuid or new_uuid(), wish.bmc, wish.details.secrets
    return node_rules.columns(session, wish.details, None) | {
        "uuid": uuid, "name": wish.name, "driver": wish.driver, "driver_options": wish.driver_options,
        "boot_mode": wish.boot_mode, "resource_class": wish.resource_class, "properties": wish.properties,
        "extra": wish.extra, "rack": wish.rack, "rack_unit": wish.rack_unit, "bmc_address": bmc.address,
        "bmc_udp_port": bmc.udp_port, "bmc_username": bmc.username,
        "bmc_secret": vault.seal(bmc.password.encode(), node_rules.bmc_context(uuid)) if bmc.password else None,
        "hidden": node_rules.sealed(uuid, vault, secrets),
    }  # fmt: skip


def _taken(cause: IntegrityError, wish: NewNode, uuid: str) -> Conflict:
    """Which unique column refused, by the name of the constraint: PostgreSQL's, or what SQLite says."""
    said = getattr(getattr(cause.orig, "diag", None), "constraint_name", None) or str(cause.orig)
    if "instance_uuid" in said:
        return node_rules.instance_taken(wish.details.instance_uuid, uuid)
    if "uuid" in said:
        return Conflict(f"A node with UUID {uuid} already exists.")
    return Conflict(f"A node with name {wish.name} already exists.", next_step="choose another name")
