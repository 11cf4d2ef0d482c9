"""What agents say and ask: the exchange of the boot secret, reports, commands and their results.

Each function is one short transaction of the caller. None of them runs a step: they store, and wake who waits.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import orjson
from sqlalchemy import Table, bindparam, select
from sqlalchemy.orm import Session

from agent import wire
from appliance.domain import boot as rules
from appliance.domain import untrusted
from appliance.domain.errors import Invalid, NotFound, Unauthenticated
from appliance.models import agent_command, event, flow
from appliance.models.agent_command import AgentCommand
from appliance.models.columns import UtcTime
from appliance.models.node import Inventory, Node, Sighting, lock
from appliance.services import discovery, network
from appliance.services.boot import facts, hash_secret
from appliance.services.vault import Vault

SECOND_EXCHANGE_GRACE = timedelta(seconds=90)
"""A lookup whose answer was lost may be repeated by the same address within this time."""

SEEN_EVERY = timedelta(seconds=10)
"""Heartbeats write the row at most this often."""

LIVE = ("queued", "running")
RESULT_BYTES = 64 * 1024
EVENT_BYTES = 8 * 1024
AGENT = rules.Action.AGENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """Who speaks: an enrolled node or a machine that is only sighted."""

    node: Node | None
    sighting: Sighting | None


def lookup(session: Session, body: Mapping[str, Any], *, address: str, now: datetime) -> wire.LookupReply:
    """Exchange the boot secret for a session token. The first exchange wins; another one is an alarm."""
    holder = holder_of(session, body.get("boot_secret"), to_write=True)
    if holder.boot_secret_used_at is None:
        _refuse_other_machine(session, holder, address=address, now=now)
        _refuse_unawaited(session, holder, address=address, now=now)
    else:
        _refuse_second_use(session, holder, used=holder.boot_secret_used_at, address=address, now=now)
    token = secrets.token_urlsafe(32)
    holder.agent_session_hash = hash_secret(token)
    holder.boot_secret_used_at = holder.boot_secret_used_at or now
    if isinstance(holder, Node):
        version = untrusted.text(body.get("agent_version"), 32)
        _node_is_alive(session, holder, version=version, address=address, now=now)
    else:
        holder.address, holder.last_seen_at = address, now
    return {
        "session": token,
        "node": holder.label if isinstance(holder, Node) else None,
        "heartbeat_s": wire.HEARTBEAT_S,
    }


def holder_of(session: Session, secret: object, *, to_write: bool = False) -> Node | Sighting:
    """Whose boot secret this is. to_write: it is locked until the transaction ends. Raises Unauthenticated."""
    if isinstance(secret, str) and 20 <= len(secret) <= 100:
        digest = hash_secret(secret)
        node = session.scalar(select(Node).where(Node.boot_secret_hash == digest))
        if node is not None and to_write:
            node = lock(session, node.id)
        found = node or session.scalar(select(Sighting).where(Sighting.boot_secret_hash == digest))
        if found is not None:
            return found
    raise Unauthenticated("this boot secret is not known")


def _refuse_other_machine(session: Session, holder: Node | Sighting, *, address: str, now: datetime) -> None:
    """Secrets travel in the clear: whoever read one on the wire has an address of its own, leased to its own MAC."""
    mac = network.lease_holder(session, address, now=now)
    if mac is None or mac in _macs(session, holder):
        return
    text = f"{address}, leased to {mac}, presented the boot secret of {_name(holder)}; it was refused"
    _alarm(session, holder, text, now=now)
    raise Unauthenticated("this boot secret belongs to another machine")


def _refuse_unawaited(session: Session, holder: Node | Sighting, *, address: str, now: datetime) -> None:
    """A secret is worth no more than a boot would be now: none while the disk belongs to an instance."""
    if isinstance(holder, Sighting) or rules.choose(facts(holder, now), rules.Discovery.OFF).action is AGENT:
        return
    text = f"{address} presented a boot secret of {holder.label}, which is {holder.provision_state}; it was refused"
    _alarm(session, holder, text, now=now)
    raise Unauthenticated("no agent is awaited on this machine")


def _macs(session: Session, holder: Node | Sighting) -> set[str]:
    if isinstance(holder, Sighting):
        return {holder.mac}
    report = session.get(Inventory, holder.id)
    return {port.mac for port in holder.ports} | {nic["mac"] for nic in (report.report["nics"] if report else ())}


def _name(holder: Node | Sighting) -> str:
    return holder.label if isinstance(holder, Node) else holder.mac


def _alarm(session: Session, holder: Node | Sighting, text: str, *, now: datetime) -> None:
    node_id, mac = (holder.id, None) if isinstance(holder, Node) else (None, holder.mac)
    event.record(session, at=now, kind="alarm", actor="agent", message=text, node_id=node_id, mac=mac)


def _refuse_second_use(
    session: Session, holder: Node | Sighting, *, used: datetime, address: str, now: datetime
) -> None:
    before = holder.agent_address if isinstance(holder, Node) else holder.address
    if now - used <= SECOND_EXCHANGE_GRACE and before == address:
        return
    text = f"boot session used twice: {address} presented a boot secret that {before} used at {used.isoformat()}"
    _alarm(session, holder, text, now=now)
    if isinstance(holder, Node):
        flow.abort(session, node_id=holder.id, reason="boot session used twice", now=now)
    raise Unauthenticated("this boot secret was used already")


def _node_is_alive(session: Session, node: Node, *, version: str, address: str, now: datetime) -> None:
    node.agent_version, node.agent_address, node.agent_seen_at = version, address, now
    node.boot_expected_until, node.boot_count = None, node.boot_count + 1
    for row in session.scalars(
        select(AgentCommand).where(AgentCommand.node_id == node.id, AgentCommand.status == "running")
    ):
        row.status, row.started_at = "queued", None  # the machine booted anew: whatever ran there is gone
    event.record(
        session, at=now, kind="agent.alive", actor="agent", node_id=node.id, message=f"agent called back from {address}"
    )
    flow.signal(session, node_id=node.id, name="agent.alive", payload={"address": address}, now=now)


def authenticate(session: Session, token: str) -> Agent:
    """The speaker behind a session token. The token's hash is looked up by an index, so no timing tells its bytes."""
    if not 20 <= len(token) <= 100:
        raise Unauthenticated("this agent session is over")
    digest = hash_secret(token)
    node = session.scalar(select(Node).where(Node.agent_session_hash == digest))
    if node is not None:
        return Agent(node=node, sighting=None)
    sighting = session.scalar(select(Sighting).where(Sighting.agent_session_hash == digest))
    if sighting is None:
        raise Unauthenticated("this agent session is over")
    return Agent(node=None, sighting=sighting)


def authenticate_to_write(session: Session, token: str) -> Agent:
    """As `authenticate`; the node's row is locked first, so that no answer of a machine is lost to another writer."""
    speaker = authenticate(session, token)
    if speaker.node is not None and lock(session, speaker.node.id) is None:
        raise Unauthenticated("this agent session is over")
    return speaker


def sighting_seen(session: Session, token: str, *, now: datetime) -> None:
    """Note that the agent of a machine lives that is no node yet."""
    sighting = authenticate(session, token).sighting
    if sighting is not None:
        sighting.last_seen_at = now


def is_old(seen: datetime | None, now: datetime) -> bool:
    """Worth a write. A moment in the future means that the clock was set back: then it is old too."""
    return seen is None or abs(now - seen) > SEEN_EVERY


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """The little that a heartbeat of a node's agent needs. is_due: whether its being seen is worth a write."""

    node_id: int
    is_due: bool
    has_command: bool


_PULSE = select(
    Node.id,
    Node.agent_seen_at,
    select(AgentCommand.id)
    .where(AgentCommand.node_id == Node.id, AgentCommand.status.in_(LIVE))
    .exists()
    .label("has_command"),
).where(Node.agent_session_hash == bindparam("digest"))
_SEEN = (
    cast("Table", Node.__table__)
    .update()
    .where(Node.id == bindparam("of_id"))
    .values(agent_seen_at=bindparam("at", type_=UtcTime()))
)


def pulse(session: Session, token: str, *, now: datetime) -> Pulse | None:
    """Of the node whose agent holds the session token; None when no node's does (a sighted machine, or a stranger)."""
    if not 20 <= len(token) <= 100:
        return None
    row = session.connection().execute(_PULSE, {"digest": hash_secret(token)}).first()
    if row is None:
        return None
    return Pulse(node_id=row.id, is_due=is_old(row.agent_seen_at, now), has_command=row.has_command)


def seen(session: Session, beats: Mapping[int, datetime]) -> None:
    """Note that the agents of these nodes live. No new version of the node: nobody's decision rests on it.

    In the order of ids, so that two processes never wait for each other.
    """
    if beats:
        session.connection().execute(_SEEN, [{"of_id": node_id, "at": beats[node_id]} for node_id in sorted(beats)])


def report(
    session: Session,
    vault: Vault,
    speaker: Agent,
    inventory: Mapping[str, Any],
    *,
    policy: discovery.Policy,
    now: datetime,
) -> None:
    """Store a hardware report; an unknown machine may become a node by it."""
    checked = discovery.check_report(inventory)
    node = speaker.node
    if node is None and speaker.sighting is not None:
        speaker.sighting.report = checked
        node = discovery.consider(session, vault, speaker.sighting, policy=policy, now=now)
    if node is None:
        return
    store_report(session, node, checked, now=now)
    discovery.set_up_bmc(session, vault, node, checked, policy=policy, now=now)


def store_report(session: Session, node: Node, checked: dict[str, Any], *, now: datetime) -> None:
    """Replace the node's inventory, and fill in what nobody had said: boot mode, secure boot."""
    row = session.get(Inventory, node.id)
    if row is None:
        session.add(Inventory(node_id=node.id, reported_at=now, report=checked))
    else:
        row.report, row.reported_at = checked, now
    if checked.get("boot_mode") in ("bios", "uefi"):
        node.boot_mode = checked["boot_mode"]
    if isinstance(checked.get("is_secure_boot"), bool):
        node.has_secure_boot = checked["is_secure_boot"]


def pending(session: Session, node: Node) -> AgentCommand | None:
    """The oldest unfinished command."""
    mine = select(AgentCommand).where(AgentCommand.node_id == node.id, AgentCommand.status.in_(LIVE))
    return session.scalars(mine.order_by(AgentCommand.id).limit(1)).first()


def command_context(node: Node) -> str:
    """The vault context of secret parameters."""
    return f"node:{node.uuid}:command"


def deliver(session: Session, vault: Vault, node: Node, row: AgentCommand, *, now: datetime) -> wire.Command:
    """Hand a command out, secrets opened; a repeated delivery is the same command."""
    if row.status == "queued":
        row.status, row.started_at = "running", now
        event.record(
            session, at=now, kind="agent.command", actor="agent", node_id=node.id, message=f"agent starts {row.name}"
        )
    params = dict(row.params)
    if row.secret_params is not None:
        params |= orjson.loads(vault.open(row.secret_params, command_context(node)))
    return {"uuid": row.uuid, "name": row.name, "params": params}  # type: ignore[typeddict-item]  # names are checked when asked


def update(session: Session, vault: Vault, node: Node, uuid: str, body: Mapping[str, Any], *, now: datetime) -> bool:
    """Progress or the end of a command. True tells the agent to stop it. A late or repeated message changes nothing."""
    row = session.scalar(select(AgentCommand).where(AgentCommand.uuid == uuid, AgentCommand.node_id == node.id))
    if row is None:
        raise NotFound("no such command for this machine")
    if row.status not in LIVE:
        return row.status == "cancelled"
    if is_old(node.agent_seen_at, now):
        node.agent_seen_at = now
    status = body.get("status")
    if status == "running":
        row.progress = _progress(body.get("progress"))
        return False
    if status not in ("done", "failed"):
        raise Invalid("status is running, done or failed")
    result = body.get("result")
    result = result if isinstance(result, dict) else {}
    error = untrusted.text(body.get("error"), 2000) or None if status == "failed" else None
    if row.name == "inspect" and status == "done":
        result = {"inventory": discovery.check_report(result.get("inventory"))}
    else:
        result = _fitting(untrusted.tree(result), RESULT_BYTES)
    seconds = (now - (row.started_at or row.created_at)).total_seconds()
    event.record(
        session, at=now, kind=f"agent.{status}", actor="agent", node_id=node.id, duration_s=seconds,
        message=f"{row.name} {status}" + (f": {error}" if error else ""), data=_small(result),
    )  # fmt: skip
    if row.name == "setup_bmc" and status == "done":
        discovery.bmc_was_set_up(session, vault, node, row, result, now=now)
    agent_command.finish(session, command=row, status=status, result=result, error=error, now=now)
    return False


def _small(result: dict[str, Any]) -> dict[str, Any]:
    """Events do without the bulky parts of a result."""
    return _fitting({key: value for key, value in result.items() if key != "inventory"}, EVENT_BYTES)


def _fitting(result: dict[str, Any], limit: int) -> dict[str, Any]:
    """The result, without its largest parts when it is longer than `limit` octets of JSON."""
    sizes = {key: len(orjson.dumps(value)) + len(key) for key, value in result.items()}
    for key in sorted(sizes, key=sizes.__getitem__, reverse=True):
        if sum(sizes.values()) <= limit:
            break
        del sizes[key]
    return {key: result[key] for key in result if key in sizes}


def _progress(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {}
    return {
        "phase": untrusted.text(value.get("phase"), 40),
        "unit": untrusted.text(value.get("unit"), 12),
        "done": _count(value.get("done")),
        "total": _count(value.get("total")),
        "message": untrusted.text(value.get("message"), 200),
    }


def _count(value: Any) -> int:
    """A number of bytes or things; 0 for anything that is none."""
    is_number = isinstance(value, int | float) and 0 <= value < 2**63
    return int(value) if is_number else 0


def log_lines(session: Session, speaker: Agent, lines: Any, *, now: datetime) -> None:
    """Keep the agent's own log as one event; control characters are dropped."""
    if not isinstance(lines, list) or len(lines) > wire.MAX_LOG_LINES:
        raise Invalid(f"lines is a list of at most {wire.MAX_LOG_LINES} texts")
    clean = [untrusted.text(line, wire.MAX_LINE_CHARS) for line in lines]
    if clean and speaker.node is not None:
        event.record(
            session,
            at=now,
            kind="agent.log",
            actor="agent",
            node_id=speaker.node.id,
            message=clean[-1],
            data={"lines": clean},
        )


def instance_of(session: Session, token: str) -> Node | None:
    """The node whose instance holds this call-home token."""
    if not 20 <= len(token) <= 100:
        return None
    return session.scalar(select(Node).where(Node.call_home_hash == hash_secret(token)))


def called_home(session: Session, token: str, *, address: str, now: datetime) -> bool:
    """An instance says that it is up. The token is good until the instance is undeployed; repeating is harmless."""
    node = instance_of(session, token)
    if node is None or lock(session, node.id) is None:
        return False
    awaiting = flow.active_for(session, node.id)
    if node.instance_address == address and (awaiting is None or awaiting.wait_for != "call-home"):
        return True  # said before: a tenant who repeats it fills no event log
    node.instance_address = address
    event.record(
        session,
        at=now,
        kind="call-home",
        actor="instance",
        node_id=node.id,
        message=f"instance called home from {address}",
    )
    flow.signal(session, node_id=node.id, name="call-home", payload={"address": address}, now=now)
    return True
