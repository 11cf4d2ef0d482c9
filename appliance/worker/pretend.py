"""The agents of machines on the `fake` driver: they call back, obey and come home, with the delays their nodes name.

So a fleet on paper goes through the same engine, the same signals and the same rows as a real one; only the wire is
missing. Each round is one look at what waits, and one short transaction for some machines that are due.
"""

import logging
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Row, bindparam, select
from sqlalchemy.orm import Session

from appliance.domain import pretend
from appliance.models import agent_command, event, flow
from appliance.models import node as node_model
from appliance.models.agent_command import AgentCommand
from appliance.models.database import Database
from appliance.models.flow import IS_ACTIVE, Flow
from appliance.models.node import Node
from appliance.services.boot import hash_secret

log = logging.getLogger(__name__)

AT_ONCE = 20
"""Machines in one transaction: a commit costs as much as several of them; the engine waits no longer for it."""

HOME_ADDRESS = "192.0.2.1"  # RFC 5737: an address of documentation, because nothing is there

# A flow that is due already was told, or its time is over: the engine is about to look at it, and we keep still.
_WAITING = (
    select(
        *(Flow.id, Flow.uuid, Flow.node_id, Flow.visit, Flow.wait_for, Flow.waiting_since, Flow.entered_at),
        Node.driver_options,
    )
    .join(Node, Node.id == Flow.node_id)
    .where(IS_ACTIVE, Flow.wait_for.is_not(None), Flow.wake_at > bindparam("now"), Node.driver == "fake")
    .order_by(Flow.node_id)
)
_FLOW = select(Flow).where(Flow.id == bindparam("of_id")).execution_options(populate_existing=True)


def sweep(database: Database, *, now: datetime) -> int:
    """Let every pretend machine that is due do its next thing. Returns how many did."""
    with database.read() as session:
        due = [(row.node_id, row.id) for row in session.execute(_WAITING, {"now": now}) if _is_due(row, now)]
    for start in range(0, len(due), AT_ONCE):
        with database.write() as session:
            for node_id, flow_id in due[start : start + AT_ONCE]:
                _act(session, node_id, flow_id, now)
    return len(due)


def _is_due(row: Row[*tuple[Any, ...]], now: datetime) -> bool:
    since = row.waiting_since or row.entered_at
    if now - since < timedelta(seconds=pretend.delay_s(row.driver_options)):
        return False
    silent = {"agent.alive": "agent", "call-home": "home"}.get(row.wait_for or "")
    return silent is None or not pretend.strikes(row.driver_options, silent, f"{row.uuid}:{row.visit}")


def _act(session: Session, node_id: int, flow_id: int, now: datetime) -> None:
    """The node's row is locked first, as the engine does; then what was seen is looked at again."""
    node = node_model.lock(session, node_id)
    work = session.scalar(_FLOW, {"of_id": flow_id})
    if work is None or node is None or work.status != "active" or work.wait_for is None or work.wake_at <= now:
        return
    if work.wait_for == "agent.alive":
        _call_back(session, node, now)
    elif work.wait_for == "call-home":
        payload = {"address": HOME_ADDRESS}
        event.record(
            session, at=now, kind="call-home", actor="pretend", node_id=node.id, message="pretend instance is up"
        )
        flow.signal(session, node_id=node.id, name="call-home", payload=payload, now=now)
    elif work.wait_for.startswith("agent.command:"):
        _obey(session, node, work, now)


def _call_back(session: Session, node: Node, now: datetime) -> None:
    node.agent_session_hash = hash_secret(f"pretend {node.uuid} {now.timestamp()}")
    node.agent_seen_at, node.agent_address, node.agent_version = now, HOME_ADDRESS, "pretend"
    node.appliance_address = HOME_ADDRESS
    node.boot_expected_until, node.boot_count = None, node.boot_count + 1
    event.record(
        session, at=now, kind="agent.alive", actor="pretend", node_id=node.id, message="pretend agent called back"
    )
    flow.signal(session, node_id=node.id, name="agent.alive", payload={"address": HOME_ADDRESS}, now=now)


def _obey(session: Session, node: Node, work: Flow, now: datetime) -> None:
    uuid = (work.wait_for or "").removeprefix("agent.command:")
    command = session.scalar(select(AgentCommand).where(AgentCommand.uuid == uuid))
    if command is None or command.status not in ("queued", "running"):
        return
    memory = node.properties.get("memory_mb")
    machine = pretend.Machine(
        uuid=node.uuid, macs=tuple(port.mac for port in node.ports), boot_mode=node.boot_mode or "uefi",
        memory_mib=memory if isinstance(memory, int) else 65536, options=node.driver_options,
    )  # fmt: skip
    said = pretend.answer(machine, command.name, work.kind, command.uuid)
    node.agent_seen_at = now
    status: Literal["done", "failed"] = "failed" if said.error else "done"
    seconds = (now - command.created_at).total_seconds()
    text = f"{command.name} {status}" + (f": {said.error}" if said.error else "")
    event.record(
        session, at=now, kind=f"agent.{status}", actor="pretend", node_id=node.id, message=text, duration_s=seconds
    )
    agent_command.finish(session, command=command, status=status, result=said.result, error=said.error, now=now)
