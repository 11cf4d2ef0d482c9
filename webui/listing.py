"""The nodes page's query: filter, order and page, all from the URL, in three statements whatever the number of rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, String, cast, exists, func, or_, select
from sqlalchemy.orm import Session

from appliance.models.agent_command import AgentCommand
from appliance.models.flow import Flow
from appliance.models.node import Node, Port
from webui import states, words

PAGE = 1000

ORDERS: Mapping[str, tuple[Any, ...]] = {
    "name": (Node.name, Node.uuid),
    "state": (Node.provision_state, Node.name),
    "since": (Node.provision_updated_at, Node.id),
    "power": (Node.power_state, Node.name),
    "address": (Node.instance_address, Node.name),
    "place": (Node.rack, Node.rack_unit, Node.name),
    "bmc": (Node.bmc_address, Node.name),
}
"""Columns that one can sort by; `-name` turns the order round."""

SHOWN = (
    Node.id, Node.uuid, Node.name, Node.provision_state, Node.provision_updated_at, Node.power_state, Node.fault,
    Node.target_power_state, Node.maintenance, Node.maintenance_reason, Node.instance, Node.instance_address,
    Node.rack, Node.rack_unit, Node.bmc_address, Node.boot_mode, Node.last_error, Node.driver,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """state: a provision state or a group's key. text: words that must all be found somewhere. page: from 1."""

    state: str = ""
    text: str = ""
    sort: str = ""
    page: int = 1

    def args(self, **changed: str | int) -> dict[str, str | int]:
        """The URL's arguments, with changes; what is empty is left out."""
        given: dict[str, str | int] = {"state": self.state, "q": self.text, "sort": self.sort, "page": self.page}
        return {key: value for key, value in (given | changed).items() if value not in ("", 1)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A node as a line. doing: what goes on, in a few words; share: how far, in per cent."""

    node: Any
    label: str
    group: states.Group
    doing: str = ""
    share: float | None = None
    is_problem: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    rows: Sequence[Row]
    total: int
    page: int
    pages: int


def parse(args: Mapping[str, str]) -> Wanted:
    """The URL as a wish; what has no meaning is ignored, so that an old link still opens."""
    sort = args.get("sort", "")
    page = args.get("page", "1")
    return Wanted(
        state=args.get("state", "")[:40],
        text=" ".join(args.get("q", "").split())[:200],
        sort=sort if sort.removeprefix("-") in ORDERS else "",
        page=max(1, int(page)) if page.isdecimal() and len(page) < 6 else 1,
    )


def find(session: Session, wanted: Wanted) -> Found:
    """The rows of one page, with what goes on on each."""
    conditions = [*_in_state(wanted.state), *(_has(word) for word in wanted.text.split()[:8])]
    total = session.scalar(select(func.count()).select_from(Node).where(*conditions)) or 0
    pages = max(1, -(-total // PAGE))
    page = min(wanted.page, pages)
    query = select(*SHOWN).where(*conditions).order_by(*_order(wanted.sort)).limit(PAGE).offset((page - 1) * PAGE)
    nodes = session.execute(query).all()
    busy = [node.id for node in nodes if states.group(node.provision_state).key == "busy"]
    works = _works(session, busy)
    progress = _progress(session, busy)
    rows = [_row(node, works.get(node.id), progress.get(node.id)) for node in nodes]
    return Found(rows=rows, total=total, page=page, pages=pages)


def _in_state(state: str) -> list[ColumnElement[bool]]:
    if not state:
        return []
    if state == "maintenance":
        return [Node.maintenance.is_(True)]
    return [Node.provision_state.in_(states.members(state) or [state])]


def _has(word: str) -> ColumnElement[bool]:
    texts = (
        Node.name, Node.uuid, Node.rack, Node.bmc_address, Node.instance_address, Node.driver, Node.resource_class,
        cast(Node.instance, String),
    )  # fmt: skip
    of_port = exists().where(Port.node_id == Node.id, Port.mac.icontains(word, autoescape=True))
    return or_(of_port, *(text.icontains(word, autoescape=True) for text in texts))


def _order(sort: str) -> list[ColumnElement[Any]]:
    columns = ORDERS.get(sort.removeprefix("-"), (Node.id,))
    if sort.startswith("-"):
        return [column.desc().nulls_last() for column in columns]
    return [column.asc().nulls_last() for column in columns]


def _works(session: Session, busy: Sequence[int]) -> dict[int, Flow]:
    if not busy:
        return {}
    found = session.scalars(select(Flow).where(Flow.status == "active", Flow.node_id.in_(busy)))
    return {work.node_id: work for work in found}


def _progress(session: Session, busy: Sequence[int]) -> dict[int, dict[str, Any]]:
    if not busy:
        return {}
    columns = select(AgentCommand.node_id, AgentCommand.progress)
    running = session.execute(columns.where(AgentCommand.status == "running", AgentCommand.node_id.in_(busy)))
    return {node_id: progress for node_id, progress in running if progress}


def _row(node: Any, work: Flow | None, progress: dict[str, Any] | None) -> Row:
    group = states.group(node.provision_state)
    doing, is_problem = "", False
    if node.maintenance:
        doing = f"maintenance: {node.maintenance_reason or 'no reason given'}"
    if work is not None:
        doing = now_doing(work, progress)
    elif node.last_error:
        doing, is_problem = node.last_error, True
    elif node.fault:
        doing, is_problem = node.fault, True
    return Row(
        node=node, label=node.name or node.uuid, group=group, doing=doing, share=words.share(progress),
        is_problem=is_problem,
    )  # fmt: skip


def now_doing(work: Flow, progress: Mapping[str, Any] | None) -> str:
    """One line on a piece of work that goes on."""
    if progress and progress.get("total"):
        return f"{str(progress.get('phase') or 'works').replace('_', ' ')}: {words.how_far(progress)}"
    if work.wait_for is not None:
        return words.goes_on(work.wait_for, work.step)
    return words.step(work.step)
