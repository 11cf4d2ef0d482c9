"""What a flow is made of: named steps in order, each answering what comes next (appliance.domain.steps).

An *act* does things outside (a BMC) and holds no transaction; it may be run twice, so it looks first or repeats itself
harmlessly. A *record* only reads and writes rows, inside the transaction of its own transition, so it happens exactly
once. Their types keep them apart: an Act has no session, a Record has no BMC.

A step names its successor by the Step object, so a reader can jump to it and a test can draw the graph.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from appliance.domain.steps import NEVER, Again, Done, Failed, Go, KeepWaiting, Next, Retry, Wait
from appliance.flows.resources import FlowPolicy, Resources
from appliance.models.database import JsonObject
from appliance.models.event import Event
from appliance.models.flow import Flow
from appliance.models.flow_queue import Claimed, Needs
from appliance.models.node import Node
from bmc.api import Bmc


class AbortAsked(Exception):
    """Somebody aborted the flow while its step ran."""


@dataclass(slots=True, kw_only=True)
class Turn:
    """One run of one step, as the step sees it. data: the flow's own memory; changes are kept with the transition."""

    now: datetime
    claimed: Claimed
    resources: Resources
    data: JsonObject

    @property
    def policy(self) -> FlowPolicy:
        return self.resources.policy

    @property
    def key(self) -> str:
        """The same for each repetition of this run, whatever became of the worker."""
        return self.claimed.key

    @property
    def payload(self) -> JsonObject:
        """What came with the signal that ended the wait."""
        return self.claimed.payload or {}

    @property
    def in_step_s(self) -> float:
        """Seconds since the flow entered this step, over all its repetitions."""
        return (self.now - self.claimed.entered_at).total_seconds()

    def go(self, step: "Step") -> Next:
        return Go(step=step.name)

    def wait(
        self,
        for_: str,
        *,
        then: "Step",
        within_s: float,
        otherwise: "Step",
        says: str,
        look_s: float | None = None,
    ) -> Next:
        """Wait at most within_s. With look_s, `otherwise` is run each look_s seconds and decides (`keep_waiting`)."""
        return Wait(
            for_=for_,
            then=then.name,
            within_s=within_s if look_s is None else min(look_s, within_s),
            otherwise=otherwise.name,
            says=says,
            deadline=self.now + timedelta(seconds=within_s),
        )

    def again(self, in_s: float, why: str) -> Next:
        """Poll: the step is run once more, and nothing is amiss yet."""
        return Again(in_s=in_s, why=why, is_poll=True)

    def done(self, says: str = "") -> Next:
        return Done(says=says)

    def failed(self, reason: str) -> Next:
        return Failed(reason=reason)


@dataclass(slots=True, kw_only=True)
class Act(Turn):
    """A turn outside any transaction. node: as it was when the step began; change it with `set`."""

    load_node: Callable[[], Node]
    check: Callable[[], None]
    """Still ours, and not aborted? Ask right before each effect; raises Fenced or AbortAsked."""
    changes: dict[str, Any] = field(default_factory=dict)
    _node: Node | None = None
    _bmc: Bmc | None = None

    @property
    def node(self) -> Node:
        if self._node is None:
            self._node = self.load_node()
        return self._node

    @property
    def bmc(self) -> Bmc:
        if self._bmc is None:
            self._bmc = self.resources.connect(self.node)
        return self._bmc

    def set(self, **columns: object) -> None:
        """Columns of the node to write with the transition, whatever the answer."""
        self.changes |= columns


@dataclass(slots=True, kw_only=True)
class Record(Turn):
    """A turn inside the transaction of its transition. node: live and locked; assign to it."""

    session: Session
    node: Node

    def flow(self) -> Flow:
        return self.session.execute(select(Flow).where(Flow.id == self.claimed.id)).scalar_one()

    def last_event(self, kinds: tuple[str, ...]) -> str | None:
        """The latest event of the node, since this flow began, whose kind starts with one of `kinds`."""
        found = self.session.scalars(
            select(Event)
            .where(Event.node_id == self.node.id, or_(*(Event.kind.startswith(kind) for kind in kinds)))
            .order_by(Event.id.desc())
            .limit(1)
        ).first()
        return None if found is None or found.at < self.flow().created_at else f"{found.kind}: {found.message}"

    def keep_waiting(self, look_s: float) -> Next:
        """Go on with the wait that this look interrupted; look again in look_s seconds, or at its deadline."""
        left_s = (self.claimed.deadline - self.now).total_seconds() if self.claimed.deadline else look_s
        return KeepWaiting(within_s=max(0.0, min(look_s, left_s)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """act or record: exactly one is there. retry: for faults of peers that time may cure."""

    name: str
    act: Callable[[Act], Next] | None = None
    record: Callable[[Record], Next] | None = None
    needs: Needs = field(default_factory=Needs)
    retry: Retry = NEVER
    spoils_disk: bool = False

    def function(self) -> Callable[..., Next]:
        return self.act or self.record  # type: ignore[return-value]  # one of the two is there


@dataclass(slots=True)
class Procedure:
    """A kind of flow. The first step registered is the first run."""

    kind: str
    steps: dict[str, Step] = field(default_factory=dict)

    @property
    def first(self) -> Step:
        return next(iter(self.steps.values()))

    def act(
        self, *, name: str = "", pool: str | None = None, slot: str | None = None, retry: Retry = NEVER
    ) -> Callable[[Callable[[Act], Next]], Step]:
        """Register a function that acts outside, under its own name or `name`.

        pool: at most N at once; slot: the same, kept across the next wait.
        """

        def register(function: Callable[[Act], Next]) -> Step:
            return self._add(
                Step(name=name or function.__name__, act=function, needs=Needs(pool=pool, slot=slot), retry=retry)
            )

        return register

    def record(
        self, *, name: str = "", slot: str | None = None, spoils_disk: bool = False
    ) -> Callable[[Callable[[Record], Next]], Step]:
        """Register a function that only writes rows. spoils_disk: if it or its wait fails, the disk is half written."""

        def register(function: Callable[[Record], Next]) -> Step:
            step = name or function.__name__
            return self._add(Step(name=step, record=function, needs=Needs(slot=slot), spoils_disk=spoils_disk))

        return register

    def _add(self, step: Step) -> Step:
        if step.name in self.steps:
            raise ValueError(f"{self.kind} has two steps named {step.name}")
        self.steps[step.name] = step
        return step
