"""Pretend machines: a BMC, the agent that boots on them, the system that is installed on them.

What a machine is lives in one JSON file, so that an engine in a child process, killed in the middle of a step, leaves
behind what it did. `World.react` plays the agents and systems: it does what real ones do through the services of the
appliance, as rows in the database.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.models import agent_command, flow
from appliance.models.agent_command import FINISHED, AgentCommand
from appliance.models.database import Database
from appliance.models.node import Node
from bmc import errors
from bmc.types import BmcInfo, BootDevice, BootOverride, LanInfo, PowerAction, PowerState

INVENTORY: dict[str, Any] = {
    "uuid": "6f9d6f3e-0000-4000-8000-000000000001",
    "boot_mode": "uefi",
    "cpu": {"threads": 8, "architecture": "x86_64"},
    "memory_mib": 16384,
    "disks": [{"name": "/dev/vda", "size_bytes": 20 * 2**30}, {"name": "/dev/vdb", "size_bytes": 10 * 2**30}],
    "nics": [],
}


@dataclass
class Machine:
    """runs: None (nothing), `agent` or `system`. acts: what the BMC was made to do, in order.

    The second half is how it misbehaves. faults: names of bmc.errors classes, one raised per BMC call until used up.
    """

    is_on: bool = False
    device: str = "none"
    is_persistent: bool = False
    is_uefi: bool = False
    runs: str | None = None
    has_called: bool = False
    disk: str = "old"
    acts: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    faults: list[str] = field(default_factory=list)
    ignores_power: bool = False
    agent_is_mute: bool = False
    mute_boots: int = 0
    hangs_in: str | None = None
    fails_in: dict[str, str] = field(default_factory=dict)
    kexec_is_lost: bool = False
    system_is_mute: bool = False


class World:
    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.exists():
            path.write_text("{}")

    def machine(self, address: str) -> Machine:
        found = json.loads(self._path.read_text()).get(address)
        return Machine(**found) if found else Machine()

    def save(self, address: str, machine: Machine) -> None:
        everything = json.loads(self._path.read_text())
        everything[address] = asdict(machine)
        self._path.write_text(json.dumps(everything))

    def change(self, address: str, **values: Any) -> None:
        machine = self.machine(address)
        for name, value in values.items():
            setattr(machine, name, value)
        self.save(address, machine)

    def connect(self, node: Node) -> "FakeBmc":
        return FakeBmc(self, node.bmc_address or "")

    def react(self, database: Database, now: datetime) -> bool:
        """Let every machine do one thing that it would do next. True when one did."""
        with database.read() as session:
            nodes = [(node.id, node.bmc_address or "") for node in session.scalars(select(Node))]
        moved = [self._react(database, node_id, address, now) for node_id, address in nodes]
        return any(moved)

    def _react(self, database: Database, node_id: int, address: str, now: datetime) -> bool:
        machine = self.machine(address)
        if not machine.is_on or machine.runs is None:
            return False
        with database.write() as session:
            node = session.get_one(Node, node_id)
            if machine.runs == "agent":
                moved = _agent(session, node, machine, now)
            else:
                moved = _system(session, node, machine, now)
        self.save(address, machine)
        return moved


def _agent(session: Session, node: Node, machine: Machine, now: datetime) -> bool:
    if machine.agent_is_mute:
        return False
    if not machine.has_called:
        return _look_up(session, node, machine, now)
    asked = session.scalars(
        select(AgentCommand)
        .where(AgentCommand.node_id == node.id, AgentCommand.status.not_in(FINISHED))
        .order_by(AgentCommand.id)
    ).first()
    if asked is None or node.agent_session_hash is None:
        return False
    if machine.hangs_in == asked.name:
        if asked.status == "queued":
            asked.status, asked.progress = "running", {"done": 43, "total": 100}
        return False
    node.agent_seen_at = now
    session.flush()
    machine.commands.append(asked.name)
    error = machine.fails_in.get(asked.name)
    if error is not None:
        return agent_command.finish(session, command=asked, status="failed", result=None, error=error, now=now)
    result = _work(machine, asked)
    return agent_command.finish(session, command=asked, status="done", result=result, error=None, now=now)


def _look_up(session: Session, node: Node, machine: Machine, now: datetime) -> bool:
    """Only a boot that is expected carries a secret, and so can look itself up."""
    if node.boot_expected_until is None or node.boot_expected_until < now:
        return False
    machine.has_called = True
    node.agent_session_hash, node.agent_seen_at, node.agent_address = "session", now, "10.0.0.9"
    session.flush()
    flow.signal(session, node_id=node.id, name="agent.alive", payload={}, now=now)
    return True


def _work(machine: Machine, command: AgentCommand) -> dict[str, Any]:
    match command.name:
        case "inspect":
            return {"inventory": INVENTORY}
        case "erase":
            machine.disk = "empty"
            return {"disks": [{"name": "/dev/vda"}]}
        case "rescue":
            return {"user": "rescue"}
        case "write_image":
            machine.disk = str(command.params.get("image"))
            return {}
        case "boot_disk":
            is_kexec = command.params["method"] == "kexec"
            machine.runs = None if is_kexec and machine.kexec_is_lost else "system"
            machine.has_called = False
            return {}
    raise AssertionError(command.name)


def _system(session: Session, node: Node, machine: Machine, now: datetime) -> bool:
    if machine.has_called or machine.system_is_mute:
        return False
    machine.has_called = True
    return flow.signal(session, node_id=node.id, name="call-home", payload={"address": "10.0.0.50"}, now=now)


class FakeBmc:
    """bmc.api.Bmc with HasIdentity, on a Machine."""

    def __init__(self, world: World, address: str) -> None:
        self._world = world
        self._address = address

    def _touch(self, change: Callable[[Machine], None] | None = None) -> Machine:
        machine = self._world.machine(self._address)
        if machine.faults:
            kind: type[errors.BmcError] = getattr(errors, machine.faults.pop(0))
            self._world.save(self._address, machine)
            raise kind
        if change is not None:
            change(machine)
            self._world.save(self._address, machine)
        return machine

    def power_state(self, *, deadline_s: float = 10.0) -> PowerState:
        return PowerState.ON if self._touch().is_on else PowerState.OFF

    def power(self, action: PowerAction, *, deadline_s: float = 10.0) -> None:
        def obey(machine: Machine) -> None:
            machine.acts.append(action.value)
            if machine.ignores_power:
                return
            wanted = action is not PowerAction.OFF
            if machine.is_on is wanted and action is not PowerAction.RESET:
                return
            machine.is_on, machine.has_called = wanted, False
            machine.runs = _boots(machine) if wanted else None

        self._touch(obey)

    def boot_override(self, *, deadline_s: float = 10.0) -> BootOverride:
        machine = self._touch()
        return BootOverride(
            device=BootDevice(machine.device), persistent=machine.is_persistent, is_uefi=machine.is_uefi
        )

    def set_boot_override(self, override: BootOverride, *, deadline_s: float = 10.0) -> None:
        def obey(machine: Machine) -> None:
            machine.acts.append(f"boot {override.device.value}")
            machine.device, machine.is_persistent = override.device.value, override.persistent
            machine.is_uefi = override.is_uefi

        self._touch(obey)

    def info(self, *, deadline_s: float = 10.0) -> BmcInfo:
        self._touch()
        return BmcInfo(
            firmware_version="2.10", ipmi_version="2.0", manufacturer_id=1, product_id=2, guid=None, cipher_suite=17
        )

    def lan(self, *, deadline_s: float = 10.0) -> LanInfo:
        self._touch()
        return LanInfo(address=self._address, netmask="255.255.255.0", gateway="", mac="", source="static")


def _boots(machine: Machine) -> str | None:
    """What runs after power-on. An override that is not persistent is used up."""
    device = machine.device
    if not machine.is_persistent:
        machine.device = "none"
    if device == "pxe":
        if machine.mute_boots > 0:
            machine.mute_boots -= 1
            return None
        return "agent"
    return "system" if machine.disk not in {"empty", "old"} else None
