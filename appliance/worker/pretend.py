"""The agents of machines on the `fake` driver: they call back, obey and come home, with the delays their nodes name.

So a fleet on paper goes through the same engine, the same signals and the same rows as a real one; only the wire is
missing. Each round is one look at what waits, and one short transaction per machine that is due.
"""

import logging
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain import pretend
from appliance.models import agent_command, event, flow
from appliance.models.agent_command import AgentCommand
from appliance.models.database import Database
from appliance.models.flow import Flow
from appliance.models.node import Node
from appliance.services.boot import hash_secret

log = logging.getLogger(__name__)

BATCH = 200
HOME_ADDRESS = "192.0.2.1"  # RFC 5737: an address of documentation, because nothing is there


def sweep(database: Database, *, now: datetime) -> int:
    """Let every pretend machine that is due do its next thing. Returns how many did."""
    with database.read() as session:
        due = [work.id for work, node in _waiting(session) if _is_due(work, node, now)][:BATCH]
    for flow_id in due:
        with database.write() as session:
            _act(session, flow_id, now)
    return len(due)


def _waiting(session: Session) -> list[tuple[Flow, Node]]:
    query = (
        select(Flow, Node)
        .join(Node, Node.id == Flow.node_id)
        .where(Flow.status == "active", Flow.wait_for.is_not(None), Node.driver == "fake")
    )
    return [(work, node) for work, node in session.execute(query)]


def _is_due(work: Flow, node: Node, now: datetime) -> bool:
    since = work.waiting_since or work.entered_at
    if now - since < timedelta(seconds=pretend.delay_s(node.driver_options)):
        return False
    occasion = f"{work.uuid}:{work.visit}"
    silent = {"agent.alive": "agent", "call-home": "home"}.get(work.wait_for or "")
    return silent is None or not pretend.strikes(node.driver_options, silent, occasion)


def _act(session: Session, flow_id: int, now: datetime) -> None:
    work = session.get(Flow, flow_id)
    node = session.get(Node, work.node_id) if work is not None else None
    if work is None or node is None or work.status != "active" or work.wait_for is None:
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
