"""Nodes as operators handle them: create, find, change, delete. One transaction per call, given by the caller.

Not here: verbs that move a node through its life (services.lifecycle) and anything that talks to a BMC.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload, selectinload

from appliance.domain.errors import Ambiguous, Conflict, Invalid, NotFound
from appliance.domain.lifecycle import DELETABLE, State, Verb, verbs_from
from appliance.models import event, flow, paging
from appliance.models.database import take_turns
from appliance.models.node import Inventory, Node, Port, Sighting, lock
from appliance.services import node_enrolment, node_rules
from appliance.services.node_input import BOOT_MODES, BmcAccess, NewNode
from appliance.services.vault import Vault

RELIED_ON = frozenset({"driver", "driver_options", "bmc", "macs", "boot_mode"})
"""What work in progress reads again and again: it stays as it is until the work has ended."""

TRUST = ("verify_ca", "fingerprint")
"""Options of a driver that say by what a BMC proves itself."""

PAGE_MAX = 1000
_TAKEN_MEANWHILE = "a node with that name, MAC, UUID or instance was just created by somebody else"
# Built once: building a statement costs more than running it. Of the table, since a class would cost twice that again.
_NODE = Node.__table__
_CALLED = (
    select(Node)
    .where(or_(Node.name.in_([bindparam("given"), bindparam("lowered")]), Node.uuid == bindparam("lowered")))
    .options(joinedload(Node.ports))  # of one node, cheaper than a second query
)
_NAMED = select(_NODE.c.id).where(_NODE.c.name == bindparam("name"), _NODE.c.id != bindparam("but_not"))


def create(session: Session, vault: Vault, wish: NewNode, *, actor: str, now: datetime) -> Node:
    """Enroll a node with its ports. Refuses a name, MAC or BMC that another node has, and says which one."""
    _refuse_macs(session, wish.macs, but_not=None)
    values = node_enrolment.enroll(session, vault, wish, actor=actor, now=now)
    node = session.scalars(select(Node).where(Node.uuid == values["uuid"])).one()
    if wish.macs:
        node.ports = [Port(mac=mac, created_at=now) for mac in dict.fromkeys(wish.macs)]
        adopt_sightings(session, node)
        _flush(session)
    return node


def set_bmc(node: Node, vault: Vault, access: BmcAccess) -> None:
    """Store BMC access; the password is sealed for this node alone."""
    node.bmc_address, node.bmc_udp_port, node.bmc_username = access.address, access.udp_port, access.username
    node.bmc_verified_at = None
    if access.address is None or (access.password is None and "password" in access.given):
        node.bmc_secret = None
    if access.password is not None:
        node.bmc_secret = vault.seal(access.password.encode(), bmc_context(node))


def bmc_context(node: Node) -> str:
    return node_rules.bmc_context(node.uuid)


def _refuse_taken(
    session: Session, *, name: str | None, macs: Sequence[str], bmc: BmcAccess, driver: str, but_not: int
) -> None:
    if name is not None:
        take_turns(session, f"node name {name}")
        if session.scalar(_NAMED, {"name": name, "but_not": but_not}) is not None:
            raise Conflict(f"A node with name {name} already exists.", next_step="choose another name")
    _refuse_macs(session, macs, but_not=but_not)
    node_rules.refuse_bmc(session, bmc, driver, but_not=but_not)


def _refuse_macs(session: Session, macs: Sequence[str], *, but_not: int | None) -> None:
    for mac in sorted(set(macs)):
        take_turns(session, f"mac {mac}")
    if macs:
        others = Node.id != (but_not or 0)
        taken = session.execute(
            select(Port.mac, Node).join(Node).where(Port.mac.in_(list(macs)), others).limit(1)
        ).first()
        if taken is not None:
            raise Conflict(
                f"{taken[0]} belongs to node {taken[1].label} already",
                next_step=f"rackwright node show {taken[1].label}",
            )


def adopt_sightings(session: Session, node: Node) -> None:
    """A sighted machine becomes this node: its running agent moves over, its sighting goes.

    The boot secret moves with the moment of its use, so that it stays good for one exchange. Of several sightings the
    one whose agent was heard of last is taken; the sessions and secrets of the others are void.
    """
    macs = [port.mac for port in node.ports]
    found = sorted(
        session.scalars(select(Sighting).where(Sighting.mac.in_(macs))),
        key=lambda row: (row.agent_session_hash is not None, row.last_seen_at),
    )
    for row in found:
        node.appliance_address = row.appliance_address or node.appliance_address
        if node.boot_mode is None and row.firmware in BOOT_MODES:
            node.boot_mode = row.firmware
        session.delete(row)
    if found:
        last = found[-1]
        node.boot_secret_hash, node.boot_secret_used_at = last.boot_secret_hash, last.boot_secret_used_at
        node.agent_session_hash = last.agent_session_hash
        if last.agent_session_hash:
            node.agent_address, node.agent_seen_at = last.address, last.last_seen_at


def _flush(session: Session) -> None:
    try:
        session.flush()
    except IntegrityError as cause:
        raise Conflict(_TAKEN_MEANWHILE) from cause


def fetch(session: Session, ref: str) -> Node:
    """The node by name, UUID, unambiguous UUID prefix (4 characters or more) or MAC."""
    given = ref.strip()[:255]
    text = given.lower()
    node = session.scalars(_CALLED, {"given": given, "lowered": text}).unique().first()
    if node is None and ":" in text:
        node = session.scalar(select(Node).join(Port).where(Port.mac == text))
    if node is None and len(text) >= 4 and "%" not in text and "_" not in text:
        found = list(session.scalars(select(Node).where(Node.uuid.startswith(text)).limit(3)))
        if len(found) > 1:
            raise Ambiguous(f"{ref!r} fits several nodes", next_step="give more of the UUID")
        node = found[0] if found else None
    if node is None:
        raise NotFound(f"no node {ref[:64]!r}", next_step="rackwright node list")
    return node


def fetch_to_change(session: Session, ref: str, *, version: int | None = None) -> Node:
    """As `fetch`; the row is locked until the transaction ends. version: what the caller believes to change."""
    node = lock(session, fetch(session, ref).id)
    if node is None:
        raise NotFound(f"{ref[:64]!r} was deleted meanwhile", next_step="rackwright node list")
    if version is not None and version != node.version:
        raise Conflict(
            f"{node.label} was changed meanwhile",
            why=f"it is at version {node.version}, and the change was meant for version {version}",
            next_step=f"rackwright node show {node.label}",
        )
    return node


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What to list. Each given field must match; marker is the last UUID of the page before."""

    state: str | None = None
    driver: str | None = None
    rack: str | None = None
    name: str | None = None
    mac: str | None = None
    maintenance: bool | None = None
    limit: int = 100
    marker: str | None = None


def listing(session: Session, wanted: Filter) -> paging.Part[Node]:
    """A page of nodes in the order of their enrolment, to be shown: not all of their ports is read."""
    ports = selectinload(Node.ports).load_only(Port.uuid, Port.mac, Port.name, Port.address, Port.is_pxe)
    query = select(Node).options(ports).order_by(Node.id)
    for column, value in (
        (Node.provision_state, wanted.state), (Node.driver, wanted.driver), (Node.rack, wanted.rack),
        (Node.name, wanted.name), (Node.maintenance, wanted.maintenance),
    ):  # fmt: skip
        if value is not None:
            query = query.where(column == value)
    if wanted.mac is not None:
        query = query.join(Port).where(Port.mac == wanted.mac)
    if wanted.marker is not None:
        after = session.scalar(select(Node.id).where(Node.uuid == wanted.marker))
        if after is None:
            raise NotFound(f"no node {wanted.marker[:64]!r} to continue after")
        query = query.where(Node.id > after)
    limit = max(1, min(wanted.limit, PAGE_MAX))
    return paging.part(session, query, session.scalars, limit=limit, weighed=paging.weight(Node.__table__.c))


def counts(session: Session) -> dict[str, int]:
    """How many nodes are in each provision state."""
    rows = session.execute(select(Node.provision_state, func.count()).group_by(Node.provision_state))
    return {row[0]: row[1] for row in rows}


LONGEST_REASON = 4096
"""Characters of a reason for maintenance."""
_SAID = {
    "wishes": "instance_info",
    "driver_options": "driver options",
    "bmc": "access to the BMC",
    "macs": "MAC addresses",
}
"""What an event calls a field whose name is ours alone."""


def change(
    session: Session, vault: Vault, node: Node, wish: NewNode, given: frozenset[str], *, actor: str, now: datetime
) -> Node:
    """Apply the fields named in `given`; the rest of the wish is ignored. Raises NodeLocked, Conflict, Invalid.

    given: names of NewNode and of its details.
    """
    if given & RELIED_ON:
        refuse_held(session, node, f"{', '.join(sorted(given & RELIED_ON))} cannot change now")
    node_rules.refuse_taken(session, wish.details, but_not=node)
    bmc = _merged(node, wish.bmc if "bmc" in given else BmcAccess(given=frozenset()))
    if "driver_options" in given and bmc.password is None:
        _refuse_other_trust(node, wish.driver_options)
    driver = wish.driver if "driver" in given else node.driver
    _refuse_taken(
        session, name=wish.name if "name" in given else None, macs=wish.macs if "macs" in given else (), bmc=bmc,
        driver=driver, but_not=node.id,
    )  # fmt: skip
    for plain in given & {"name", "driver", "boot_mode", "resource_class", "rack", "rack_unit"}:
        setattr(node, plain, getattr(wish, plain))
    for mapping in given & {"properties", "extra", "driver_options"}:
        setattr(node, mapping, dict(getattr(wish, mapping)))
    for column, value in node_rules.columns(session, wish.details, given).items():
        setattr(node, column, value)
    node_rules.tidy(node)
    if "bmc" in given:
        set_bmc(node, vault, bmc)
    node_rules.seal(node, vault, wish.details.secrets)
    if "macs" in given:
        kept = {port.mac: port for port in node.ports}
        _refuse_losing(node, kept.keys() - set(wish.macs))
        node.ports = [kept.get(mac) or Port(mac=mac, created_at=now) for mac in dict.fromkeys(wish.macs)]
    node.updated_at = now
    event.record(
        session,
        at=now,
        kind="node.changed",
        actor=actor,
        node_id=node.id,
        message=f"changed {', '.join(sorted(_SAID.get(name, name) for name in given))}",
    )
    _flush(session)
    return node


def is_in_use(node: Node) -> bool:
    """Its machine carries an instance, which is known by the machine's MAC addresses."""
    return (node.provision_state == State.ACTIVE or bool(node.instance_uuid)) and not node.maintenance


def _refuse_losing(node: Node, macs: set[str]) -> None:
    """In each state in which the machine has an instance, beside those that `is_in_use` knows."""
    if macs and (is_in_use(node) or node.instance is not None) and not node.maintenance:
        raise Conflict(
            f"{node.label} cannot lose the MAC address {min(macs)} now",
            why="it carries an instance, whose machine is known by its MAC addresses",
            next_step=f"rackwright node maintenance on {node.label}",
        )


def _merged(node: Node, wish: BmcAccess) -> BmcAccess:
    """What was named, on top of what is stored. A stored password never goes to another address."""
    stored = {"address": node.bmc_address, "udp_port": node.bmc_udp_port, "username": node.bmc_username}
    wanted = stored | {key: getattr(wish, key) for key in stored if key in wish.given}
    moves = any(wanted[key] != stored[key] for key in ("address", "udp_port"))
    if moves and wanted["address"] is not None and node.bmc_secret is not None and wish.password is None:
        raise Invalid(
            "bmc.password is needed with another BMC address or port",
            why="the stored password belongs to the BMC that it was given for",
            next_step=f"rackwright node set {node.label} --bmc ADDRESS --username USER --password-file FILE",
        )
    return replace(wish, **wanted)


def _refuse_other_trust(node: Node, options: Mapping[str, Any]) -> None:
    """Who may change how the BMC proves itself could have the stored password sent to somebody between."""
    if node.bmc_secret is not None and any(node.driver_options.get(key) != options.get(key) for key in TRUST):
        raise Invalid(
            f"bmc.password is needed with another {' or '.join(TRUST)}",
            why="the stored password belongs to the BMC that proved itself as it was told to",
            next_step=f"rackwright node set {node.label} --username USER --password-file FILE --driver-option …",
        )


def refuse_held(session: Session, node: Node, what: str) -> None:
    """Raises NodeLocked while work holds the node. what: the consequence, for people."""
    held = flow.active_for(session, node.id)
    if held is not None:
        said, next_step = f"{node.label} is held by {held.kind}: {what}", f"rackwright node abort {node.label}"
        raise flow.locked(session, node.id, held, said, next_step=next_step)


def delete(session: Session, node: Node, *, actor: str, now: datetime) -> None:
    """Forget a node. Refused while work holds it, and while it holds an instance unless it is in maintenance."""
    refuse_held(session, node, "it cannot be deleted now")
    node_rules.refuse_deletion(node)
    state = State(node.provision_state)
    if state not in DELETABLE and not node.maintenance:
        verbs = verbs_from(state)
        verb = next((verb for verb in (Verb.UNDEPLOY, Verb.MANAGE, Verb.ABORT) if verb in verbs), "show")
        raise Conflict(
            f"{node.label} is {node.provision_state}; it cannot be deleted now",
            why="a machine with an instance or with work in progress is forgotten only while it is in maintenance",
            next_step=f"rackwright node {verb} {node.label}",
        )
    event.record(
        session, at=now, kind="node.deleted", actor=actor, message=f"{node.label} deleted", data={"uuid": node.uuid}
    )
    session.delete(node)


def set_maintenance(session: Session, node: Node, *, on: bool, reason: str | None, actor: str, now: datetime) -> None:
    node.maintenance, node.maintenance_reason, node.updated_at = on, (reason or None) if on else None, now
    # From here it is somebody's wish: a BMC that answers again must not end it (appliance.worker.power_sync).
    node.fault, node.power_failures = None, 0
    what = f"maintenance on: {reason or 'no reason given'}" if on else "maintenance off"
    event.record(session, at=now, kind="node.maintenance", actor=actor, node_id=node.id, message=what)


def inventory(session: Session, node: Node) -> Inventory:
    row = session.get(Inventory, node.id)
    if row is None:
        raise NotFound(f"{node.label} was not inspected yet", next_step=f"rackwright node inspect {node.label}")
    return row
