"""A node, its machine and an engine at a clock given by hand; and driving them to the end."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Select, select

from appliance.domain.lifecycle import Verb
from appliance.flows.catalogue import FLOWS
from appliance.flows.engine import Engine
from appliance.flows.procedure import Procedure
from appliance.flows.resources import FlowPolicy, Resources
from appliance.models.agent_command import AgentCommand
from appliance.models.database import Database
from appliance.models.event import Event
from appliance.models.flow import Flow
from appliance.models.node import Node
from appliance.services import inspection_rules, instance_secrets, lifecycle
from tests.fakes.clock import FakeClock
from tests.fakes.machines import World
from tests.fakes.mirror import SOURCE, Mirror
from tests.fakes.rack import vault

ADDRESS = "192.0.2.7"


@dataclass
class Rig:
    """One node `n1` with its machine. flows: what engines made here run."""

    database: Database
    clock: FakeClock
    world: World
    flows: dict[str, Procedure]
    policy: FlowPolicy
    mirror: Mirror

    def engine(self, **options: Any) -> Engine:
        resources = Resources(
            connect=self.world.connect,
            make_write_params=lambda _s, node, _f: ({"image": (node.instance or {}).get("image")}, None),
            image_sources=self.mirror.sources(self.database, self.clock),
            inspection_rules=lambda session: inspection_rules.in_order(session, vault()),
            policy=self.policy,
        )
        options = {"is_alone": True, "chance": lambda: 0.5} | options
        return Engine(self.database, self.flows, resources, clock=self.clock, threads=2, **options)

    def add_node(self, state: str, **columns: Any) -> None:
        with self.database.write() as session:
            now = self.clock()
            session.add(
                Node(
                    name="n1",
                    driver="fake",
                    provision_state=state,
                    bmc_address=ADDRESS,
                    created_at=now,
                    updated_at=now,
                    provision_updated_at=now,
                    **columns,
                )
            )

    def ask(self, verb: Verb, **spec: Any) -> None:
        with self.database.write() as session:
            node = session.scalars(select(Node)).one()
            lifecycle.request(session, node=node, verb=verb, spec=spec, actor="ann", now=self.clock())
            if verb in {Verb.DEPLOY, Verb.REBUILD}:
                node.instance = {"image": "debian"}
            if "source" in spec:
                instance_secrets.keep(vault(), node, {"source": SOURCE.hidden_part()})

    def _rows(self, statement: Select[Any]) -> list[Any]:
        with self.database.read() as session:
            return list(session.scalars(statement))

    def node(self) -> Node:
        found: Node = self._rows(select(Node))[0]
        return found

    def flow(self) -> Flow:
        return self.flow_rows()[-1]

    def flow_rows(self) -> list[Flow]:
        return self._rows(select(Flow).order_by(Flow.id))

    def events(self, *kinds: str) -> list[Event]:
        rows = self._rows(select(Event).order_by(Event.id))
        return [row for row in rows if not kinds or row.kind in kinds]

    def commands(self) -> list[AgentCommand]:
        return self._rows(select(AgentCommand).order_by(AgentCommand.id))

    @property
    def machine(self) -> Any:
        return self.world.machine(ADDRESS)

    def drive(self, engine: Engine | None = None, *, rounds: int = 300, frozen_at: str = "") -> None:
        """Run, let the machines react, and let time pass to the next thing that is due, until no flow is active.

        frozen_at: while the flow is in this step, the machine does nothing.
        """
        engine = engine or self.engine()
        for _ in range(rounds):
            if not self.drive_once(engine, frozen_at=frozen_at):
                return
        raise AssertionError(f"still active after {rounds} rounds: {self.flow().step}")

    def drive_once(self, engine: Engine, *, frozen_at: str = "") -> bool:
        """False when no flow is active any more."""
        engine.run_until_idle()
        is_frozen = frozen_at != "" and self.flow().step == frozen_at
        if not is_frozen and self.world.react(self.database, self.clock()):
            return True
        due = engine.next_due()
        if due is None:
            return False
        self.clock.advance_to(due)
        return True


def rig(database: Database, clock: FakeClock, directory: Path, **policy: Any) -> Rig:
    return Rig(
        database=database,
        clock=clock,
        world=World(directory / "world.json"),
        flows=dict(FLOWS),
        policy=replace(FlowPolicy(), **policy),
        mirror=Mirror(directory / "images"),
    )
