"""One node: what it is, what it does, what it waits for, where its time went, and what can be asked of it."""

from datetime import datetime, timedelta
from typing import Any

from flask import render_template, request
from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain.lifecycle import WAY_ON, State, Verb, verbs_from
from appliance.models import flow
from appliance.models.agent_command import AgentCommand
from appliance.models.flow import Flow
from appliance.models.node import Inventory, Node
from appliance.services import events, lifecycle, nodes
from webui import states, timeline, words
from webui.site import Site
from webui.views.act import DEEDS

LOG_MAX = 2000
SOURCES = {
    "network": ("dhcp.", "tftp.", "http.", "boot.", "sighting"),
    "agent": ("agent.", "call-home"),
    "work": ("flow.", "step.", "state"),
}
"""Filters of the event log, by the beginnings of kinds."""


def overview(site: Site, ref: str) -> str:
    now = site.clock()
    with site.database.read() as session:
        node = nodes.fetch(session, ref)
        log = events.newest(session, limit=LOG_MAX, node=node)
        report = session.get(Inventory, node.id)
        shown = _standing(session, node, now)
    # A node at rest shows the same page at any time, so that an unchanged page need not be sent again.
    pictures = timeline.pictures(timeline.phases(log, now))
    chosen = _number(request.args.get("run", ""), len(pictures))
    fresh = node.power_observed_at is not None and now - node.power_observed_at <= timedelta(seconds=site.power_fresh_s)
    return render_template(
        "node.html", tab="overview", node=node, pictures=pictures, picture=pictures[chosen] if pictures else None,
        chosen=chosen, kinds=dict(timeline.KINDS), log=log[:-9:-1], report=report, is_power_fresh=fresh,
        hardware=hardware_lines(report.report) if report else [], **shown,
    )  # fmt: skip


def events_page(site: Site, ref: str) -> str:
    source = request.args.get("source", "")
    with site.database.read() as session:
        node = nodes.fetch(session, ref)
        log = events.newest(session, limit=LOG_MAX, node=node)
        shown = _standing(session, node, site.clock())
    beginnings = SOURCES.get(source)
    log = [event for event in reversed(log) if beginnings is None or event.kind.startswith(beginnings)]
    return render_template(
        "node_events.html", tab="events", node=node, log=log, source=source, sources=SOURCES, limit=LOG_MAX, **shown
    )


def hardware(site: Site, ref: str) -> str:
    with site.database.read() as session:
        node = nodes.fetch(session, ref)
        report = session.get(Inventory, node.id)
        shown = _standing(session, node, site.clock())
    return render_template(
        "node_hardware.html", tab="hardware", node=node, report=report,
        lines=hardware_lines(report.report) if report else [], **shown,
    )  # fmt: skip


def _number(text: str, count: int) -> int:
    return min(int(text), max(0, count - 1)) if text.isdecimal() and len(text) < 6 else 0


def _standing(session: Session, node: Node, now: datetime) -> dict[str, Any]:
    """What the head of every page of a node shows."""
    work = flow.active_for(session, node.id)
    running = select(AgentCommand).where(AgentCommand.node_id == node.id, AgentCommand.status == "running")
    command = session.scalars(running.order_by(AgentCommand.id).limit(1)).first() if work else None
    progress = command.progress if command is not None and command.progress else None
    explained = lifecycle.why(session, node, now=now)
    return {
        "group": states.group(node.provision_state),
        "work": work,
        "standing": _in_words(work),
        "progress": progress,
        "share": words.share(progress),
        "failure": node.failure if node.failure and work is None else None,
        "failure_at": _time(node.failure.get("at")) if node.failure else None,
        "explained": explained,
        **_asks(State(node.provision_state), is_inspected=session.get(Inventory, node.id) is not None),
    }


def _asks(state: State, *, is_inspected: bool) -> dict[str, Any]:
    """The verbs that the state allows, the one that leads on first."""
    verbs = [verb for verb in verbs_from(state) if verb in DEEDS]
    ways = {
        State.MANAGEABLE: Verb.PROVIDE if is_inspected else Verb.INSPECT,
        State.AVAILABLE: Verb.DEPLOY,
        **{known: verbs_on[0] for known, verbs_on in WAY_ON.items()},
    }
    forward = ways.get(state)
    return {"verbs": sorted(verbs, key=lambda verb: verb is not forward), "forward": forward}


def _in_words(work: Flow | None) -> dict[str, Any] | None:
    """What a piece of work does or waits for: since when, until when, and what happens then."""
    if work is None:
        return None
    if work.wait_for is not None:
        awaited = words.awaited(work.wait_for, work.step)
        return {
            "waits_for": awaited,
            "since": work.waiting_since,
            "until": None if work.wait_for == lifecycle.RELEASED else work.deadline,
            "then": work.note,
        }
    if work.owner is None and work.note:
        return {"waits_for": work.note, "since": work.entered_at, "until": None, "then": words.step(work.step)}
    return {"waits_for": None, "since": work.entered_at, "until": None, "then": None}


def _time(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        return None


def hardware_lines(report: dict[str, Any]) -> list[tuple[str, str]]:
    """A machine in a few lines."""
    cpu = report.get("cpu") or {}
    firmware = report.get("firmware") or {}
    disks = report.get("disks") or []
    model = " ".join(str(report.get(key) or "") for key in ("manufacturer", "product")).strip()
    sizes = " + ".join(words.amount(disk.get("size_bytes")) for disk in disks[:6])
    sockets, threads = _count(cpu.get("sockets"), "socket"), _count(cpu.get("threads"), "thread")
    maker = " ".join(str(firmware.get(key) or "") for key in ("vendor", "version")).strip()
    lines = [
        ("Machine", model),
        ("Serial number", str(report.get("serial") or "")),
        ("Processor", f"{cpu.get('model') or 'unknown'}, {sockets}, {threads}"),
        ("Memory", words.memory(report.get("memory_mib"))),
        ("Disks", f"{len(disks)}: {sizes}" + (" …" if len(disks) > 6 else "") if disks else "none"),
        ("Firmware", f"{maker} ({report.get('boot_mode') or 'mode unknown'})".strip()),
    ]
    return [(name, text) for name, text in lines if text]


def _count(number: object, word: str) -> str:
    return f"{number or '?'} {word}{'' if number == 1 else 's'}"
