"""What a machine is given when it boots from the network, and the secret that each agent boot carries.

The secret is 256 random bits, minted per script, kept only as SHA-256, good for one exchange (services.agents.lookup).
"""

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from appliance.domain import boot as rules
from appliance.models import event
from appliance.models.node import Node, Port, Sighting

SIGHTING_QUIET_S = 20
"""Repeated questions of one boot within this time count as one sighting."""

SIGHTINGS_MOST = 4096
"""Kept at most: a flood of invented addresses pushes out the oldest of those that never ran an agent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    action: rules.Action
    why: str
    node: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A granted agent boot: the secret in the clear, once."""

    secret: str
    node: str | None


def hash_secret(secret: str) -> str:
    """SHA-256 hex; the secrets are 256 random bits, so no salt or stretching is needed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def node_of(session: Session, mac: str) -> Node | None:
    return session.scalar(select(Node).join(Port).where(Port.mac == mac))


def owners(session: Session, macs: Collection[str]) -> dict[str, int]:
    """Which node (its id) each of these MACs belongs to."""
    if not macs:
        return {}
    rows = session.execute(select(Port.mac, Port.node_id).where(Port.mac.in_(macs)))
    return {row.mac: row.node_id for row in rows}


def decide(session: Session, *, mac: str, discovery: rules.Discovery, now: datetime) -> Plan:
    """The decision for a MAC; writes nothing."""
    node = node_of(session, mac)
    decision = rules.choose(facts(node, now), discovery)
    return Plan(action=decision.action, why=decision.why, node=node.label if node else None)


def plan(
    session: Session, *, mac: str, address: str | None, firmware: str, discovery: rules.Discovery, now: datetime
) -> Plan:
    """Decide for a MAC, and note an unknown machine as sighted (unless discovery is off)."""
    decided = decide(session, mac=mac, discovery=discovery, now=now)
    if decided.node is None and discovery is not rules.Discovery.OFF:
        sight(session, mac=mac, address=address, firmware=firmware, now=now)
    return decided


def is_news(
    session: Session, *, mac: str, address: str | None, firmware: str, discovery: rules.Discovery, now: datetime
) -> bool:
    """Whether `plan` would write: firmware asks several times per boot, and most answers are known."""
    if discovery is rules.Discovery.OFF or node_of(session, mac) is not None:
        return False
    row = session.scalar(select(Sighting).where(Sighting.mac == mac))
    if row is None or abs(now - row.last_seen_at) > timedelta(seconds=SIGHTING_QUIET_S):
        return True
    return (address or row.address) != row.address or (firmware or row.firmware) not in (row.firmware, "unknown")


def facts(node: Node | None, now: datetime) -> rules.KnownNode | None:
    if node is None:
        return None
    expects = node.boot_expected_until is not None and node.boot_expected_until > now
    return rules.KnownNode(label=node.label, provision_state=node.provision_state, expects_agent=expects)


def sight(session: Session, *, mac: str, address: str | None, firmware: str, now: datetime) -> Sighting:
    """Insert or refresh the sighting of an unknown MAC."""
    row = session.scalar(select(Sighting).where(Sighting.mac == mac))
    if row is None:
        _make_room(session)
        row = Sighting(mac=mac, first_seen_at=now, last_seen_at=now, times_seen=1, address=address, firmware=firmware)
        session.add(row)
        session.flush()
        event.record(
            session,
            at=now,
            kind="sighting",
            actor="netboot",
            mac=mac,
            message=f"unknown machine {mac} booted from the network",
        )
        return row
    if now - row.last_seen_at > timedelta(seconds=SIGHTING_QUIET_S):
        row.times_seen += 1
    row.last_seen_at = now
    row.address = address or row.address
    if firmware not in ("unknown", ""):
        row.firmware = firmware
    return row


def _make_room(session: Session) -> None:
    """Under a flood the oldest goes; a machine whose agent runs here stays."""
    known = session.scalar(select(func.count()).select_from(Sighting)) or 0
    if known < SIGHTINGS_MOST:
        return
    oldest = (
        select(Sighting.id)
        .where(Sighting.agent_session_hash.is_(None))
        .order_by(Sighting.last_seen_at, Sighting.id)
        .limit(known - SIGHTINGS_MOST + 1)
    )
    session.execute(delete(Sighting).where(Sighting.id.in_(oldest)))


def grant(
    session: Session, *, mac: str, address: str | None, server: str, discovery: rules.Discovery, now: datetime
) -> tuple[Plan, Ticket | None]:
    """The decision for the boot script; for an agent boot also a fresh secret, which replaces any earlier one."""
    decided = plan(session, mac=mac, address=address, firmware="", discovery=discovery, now=now)
    if decided.action is not rules.Action.AGENT:
        return decided, None
    secret = secrets.token_urlsafe(32)
    holder: Node | Sighting | None = node_of(session, mac) or session.scalar(
        select(Sighting).where(Sighting.mac == mac)
    )
    if holder is None:
        holder = sight(session, mac=mac, address=address, firmware="", now=now)
    holder.boot_secret_hash = hash_secret(secret)
    holder.boot_secret_used_at = None
    holder.appliance_address = server
    event.record(
        session, at=now, kind="boot.script", actor="netboot", mac=mac,
        node_id=holder.id if isinstance(holder, Node) else None, message=f"boot script served: {decided.why}",
    )  # fmt: skip
    return decided, Ticket(secret=secret, node=decided.node)
