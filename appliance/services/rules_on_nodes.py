"""Inspection rules meet a node: it is copied as plain data, the rules run over the copy, what changed is written."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain import inspection_rules as engine
from appliance.domain import inventory
from appliance.domain.errors import Invalid
from appliance.domain.rule_actions import (
    NODE_OBJECTS,
    NODE_TEXTS,
    PORT_FLAGS,
    PORT_OBJECTS,
    PORT_TEXTS,
    RuleFailed,
    Subject,
)
from appliance.models import event
from appliance.models.node import Inventory, Node, Port
from appliance.services import belonging

MAX_OBJECT = 64 * 1024
_LONGEST = {"resource_class": 80, "description": 4096, "physical_network": 64, "vendor": 32, "category": 80}
_PORT_COLUMNS = {"pxe_enabled": "is_pxe", "local_link_connection": "link"}


def apply(session: Session, node: Node, row: Inventory, rules: Sequence[engine.Rule], *, now: datetime) -> str | None:
    """Run the rules; why the inspection fails by one, or None. A failing rule leaves the node as it was."""
    if not rules:
        return None
    subject = _subject(node, row)
    before = orjson.dumps([subject.node, subject.ports])
    try:
        applied = engine.run(rules, subject)
        _refuse_others(orjson.loads(before), subject)
        _check(session, node, subject)
    except (RuleFailed, Invalid) as cause:
        _tell(session, node, subject, [], now)
        return str(cause)
    row.plugin_data = subject.plugin_data
    if orjson.dumps([subject.node, subject.ports]) != before:
        _write(node, subject, now)
    _tell(session, node, subject, applied, now)
    return None


def _subject(node: Node, row: Inventory) -> Subject:
    shown = {name: getattr(node, name) for name in NODE_TEXTS | NODE_OBJECTS | {"uuid", "driver", "provision_state"}}
    shown |= {"traits": list(node.traits), "instance_uuid": node.instance_uuid}
    shown["driver_info"] = {"ipmi_address": node.bmc_address, "ipmi_username": node.bmc_username}
    # A copy by way of its text: rules change what they are given, and lists inside columns are shared.
    plain: dict[str, Any] = orjson.loads(orjson.dumps(shown))
    ports: list[dict[str, Any]] = orjson.loads(orjson.dumps([_port(port) for port in node.ports]))
    return Subject(
        node=plain, ports=ports, inventory=inventory.of_the_field(row.report), plugin_data=dict(row.plugin_data or {})
    )


def _port(port: Port) -> dict[str, Any]:
    names = PORT_TEXTS | PORT_FLAGS | PORT_OBJECTS
    shown = {name: getattr(port, _PORT_COLUMNS.get(name, name)) for name in names}
    return shown | {"uuid": port.uuid, "address": port.mac}


def _refuse_others(before: list[Any], subject: Subject) -> None:
    """Raises RuleFailed when something changed that no rule may change; the place may have been worked out."""
    was, ports = before
    pairs = [(was, subject.node, NODE_TEXTS | NODE_OBJECTS | {"traits"})]
    pairs += [(old, new, PORT_TEXTS | PORT_FLAGS | PORT_OBJECTS) for old, new in zip(ports, subject.ports, strict=True)]
    for old, new, may_change in pairs:
        for name in sorted((old.keys() | new.keys()) - may_change):
            if old.get(name) != new.get(name):
                raise RuleFailed(f"a rule does not change {name[:64]!r}: it is {str(old.get(name))[:64]!r} here")


def _check(session: Session, node: Node, subject: Subject) -> None:
    """Refuse what a client could not write either. Raises RuleFailed."""
    _check_values(subject.node, NODE_TEXTS, NODE_OBJECTS, frozenset())
    if subject.node.get("boot_mode") not in (None, "bios", "uefi"):
        raise RuleFailed("boot_mode is 'bios' or 'uefi'")
    if (name := subject.node.get("name")) and name != node.name:
        if belonging.is_uuid(name) or not all(c.isalnum() or c in "._~-" for c in name) or not name.isascii():
            raise RuleFailed(f"{name[:64]!r} is not a name")
        if session.scalar(select(Node.id).where(Node.name == name, Node.id != node.id)) is not None:
            raise RuleFailed(f"a node named {name!r} exists already")
    for port in subject.ports:
        _check_values(port, PORT_TEXTS, PORT_OBJECTS, PORT_FLAGS)
        other = select(Port.id).where(Port.name == port.get("name"), Port.uuid != port["uuid"])
        if port.get("name") and session.scalar(other) is not None:
            raise RuleFailed(f"A port with name {port['name']} already exists.")


def _check_values(shown: dict[str, Any], texts: frozenset[str], objects: frozenset[str], flags: frozenset[str]) -> None:
    for name in sorted(texts & set(shown)):
        value = shown[name]
        if value is not None and (not isinstance(value, str) or len(value) > _LONGEST.get(name, 255)):
            raise RuleFailed(f"{name} is a text of at most {_LONGEST.get(name, 255)} characters")
    for name in sorted(objects & set(shown)):
        if not isinstance(shown[name], dict) or len(orjson.dumps(shown[name])) > MAX_OBJECT:
            raise RuleFailed(f"{name} is an object of at most {MAX_OBJECT} bytes")
    for name in sorted(flags & set(shown)):
        if not isinstance(shown[name], bool):
            raise RuleFailed(f"{name} is true or false")


def _write(node: Node, subject: Subject, now: datetime) -> None:
    for name in NODE_TEXTS:
        setattr(node, name, subject.node.get(name) or ("" if name == "conductor_group" else None))
    for name in NODE_OBJECTS:
        setattr(node, name, subject.node.get(name) or {})
    node.traits, node.updated_at = sorted(subject.node.get("traits") or []), now
    shown = {port["uuid"]: port for port in subject.ports}
    for port in node.ports:
        wanted = shown[port.uuid]
        if wanted == orjson.loads(orjson.dumps(_port(port))):
            continue
        for name in PORT_TEXTS | PORT_FLAGS | PORT_OBJECTS:
            empty: Any = {} if name in PORT_OBJECTS else False if name in PORT_FLAGS else None
            setattr(port, _PORT_COLUMNS.get(name, name), wanted.get(name, empty))
        port.updated_at = now


def _tell(session: Session, node: Node, subject: Subject, applied: list[str], now: datetime) -> None:
    for level, message in subject.log:
        event.record(
            session, at=now, kind="inspection.log", actor="engine", node_id=node.id, message=message,
            data={"level": level},
        )  # fmt: skip
    if applied:
        text = f"{len(applied)} inspection rules applied"
        event.record(
            session, at=now, kind="inspection.rules", actor="engine", node_id=node.id, message=text,
            data={"rules": applied},
        )  # fmt: skip
