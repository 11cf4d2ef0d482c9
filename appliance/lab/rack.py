"""The virtual rack: raise it, look at it, hurt it, take it down.

`up` may be repeated: what runs is kept, what died is started again. `down` ends exactly what the record names
(see processes.Started), then the namespace with everything in it.
"""

import re
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.lab import control, ledger, netns, processes, spec
from appliance.lab.control import Action, ControlFailed
from appliance.lab.errors import LabFailed
from appliance.lab.ledger import Ledger
from appliance.lab.processes import Started
from images import tools

_READY_LIMIT_S = 30.0
_POLL_S = 0.03
_LOG_FILE = "machine.log"
_CONSOLE_BYTES = 1024 * 1024
# ECMA-48 §5.4: control sequences, as firmware and GRUB paint with.
_ESCAPE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
CONSOLE_FILE = "console.log"


@dataclass(frozen=True, slots=True)
class Rack:
    """A rack that is up. Every call looks at the record on disk, so several processes may use one rack."""

    spec: spec.RackSpec
    run_dir: Path

    def directory(self, name: str) -> Path:
        """Of one machine: console.log, machine.log, qemu.log, disk.img."""
        self.spec.node(name)
        return self.run_dir / name

    def press_button(self, name: str) -> None:
        """As a finger does: an off machine goes on, a running one is asked to shut down."""
        self._do(name, Action.PRESS_BUTTON)

    def power_cut(self, name: str) -> None:
        """Power is gone for an instant: the machine is off at once, its BMC is there again."""
        self._do(name, Action.POWER_CUT)

    def unplug(self, name: str) -> None:
        """Machine and BMC are dark until `plug`."""
        self._do(name, Action.PULL_PLUG)

    def plug(self, name: str) -> None:
        self._do(name, Action.PLUG_IN)

    def cut(self, name: str) -> None:
        """Pull the network cable. It stays out over power cycles; the BMC has its own."""
        netns.set_link(self.spec.namespace, self.spec.node(name).tap, up=False)

    def mend(self, name: str) -> None:
        netns.set_link(self.spec.namespace, self.spec.node(name).tap, up=True)

    def power(self, name: str) -> str:
        """`on` or `off`, seen at the machine itself."""
        return str(self._do(name, Action.STATUS)["power"])

    def console_tail(self, name: str, lines: int = 30) -> list[str]:
        return tail(self.directory(name) / CONSOLE_FILE, lines)

    def console_text(self, name: str) -> str:
        """The newest MiB of what the machine wrote to its serial port, with ends of lines made uniform."""
        return newest(self.directory(name) / CONSOLE_FILE, _CONSOLE_BYTES).replace("\r\n", "\n")

    def forward(self, address: str, port: int, *, listen_port: int = 0) -> int:
        """A port on the host's 127.0.0.1 that leads to address:port inside; the same one when it exists already."""
        role = f"forward:{address}:{port}"
        with self._record() as record:
            if record.process(role) is not None and role in record.forwards:
                return record.forwards[role]
            log = self.run_dir / f"forward-{address}-{port}.log"
            log.unlink(missing_ok=True)
            target = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
            words = processes.module("appliance.lab.forward", self.spec.namespace, target, str(listen_port))
            relay = processes.start(role, words, log=log, environment=processes.environment())
            record.add(relay)
            record.forwards[role] = _first_line_port(relay, log)
            return record.forwards[role]

    def start(self, role: str, argv: list[str], *, log: Path) -> Started:
        """Run a program inside the rack's network until `down`; the one that runs already is kept."""
        with self._record() as record:
            running = record.process(role)
            if running is None:
                words = netns.inside(self.spec.namespace, argv)
                running = processes.start(role, words, log=log, environment=processes.environment())
                record.add(running)
            return running

    def stop(self, role: str, *, grace_s: float = 10.0) -> None:
        with self._record() as record:
            running = record.process(role)
            if running is not None:
                _stop_session(self.spec.namespace, running, grace_s)
            record.forget(role)

    def process(self, role: str) -> Started | None:
        record = ledger.load(self.run_dir)
        return None if record is None else record.process(role)

    def run_inside(self, argv: list[str], *, timeout_s: float) -> str:
        """Standard output of a short program inside. Raises tools.ToolFailed, tools.ToolMissing."""
        return tools.run(netns.inside(self.spec.namespace, argv), timeout_s=timeout_s)

    def _do(self, name: str, action: Action) -> dict[str, Any]:
        try:
            return control.ask(self.directory(name), action)
        except ControlFailed as cause:
            raise LabFailed(
                str(cause),
                next_step=f"read {self.directory(name) / _LOG_FILE}; `rackwright lab up` starts what has died",
            ) from cause

    @contextmanager
    def _record(self) -> Iterator[Ledger]:
        with ledger.locked(self.run_dir):
            record = ledger.load(self.run_dir)
            if record is None:
                raise LabFailed("the rack is down", why=f"there is no record in {self.run_dir}")
            try:
                yield record
            finally:
                ledger.save(record, self.run_dir)


def up(rack: spec.RackSpec, run_dir: Path) -> Rack:
    """Raise it, or complete it. Raises LabFailed with the machine's own words."""
    run_dir = run_dir.resolve()
    with ledger.locked(run_dir):
        record = ledger.load(run_dir)
        if record is None:
            record = _begin(rack, run_dir)
        elif record.rack != rack:
            raise LabFailed(
                f"a different rack is up in {run_dir}",
                why=f"it has {', '.join(n.name + ' ' + n.firmware for n in record.rack.nodes)}",
                next_step="take it down first: rackwright lab down",
            )
        kept = _start_machines(record, rack, run_dir)
        dying = [node for node in kept if not _answers(record, node, run_dir)]
        if dying:
            # A process that has been killed is there for a moment more: it was taken for one that runs.
            _start_machines(record, rack, run_dir)
        for node in rack.nodes:
            if not _answers(record, node, run_dir):
                raise _mute(node, run_dir)
    return Rack(rack, run_dir)


def find(run_dir: Path) -> Rack | None:
    """The rack that was raised there, if any."""
    record = ledger.load(run_dir.resolve())
    return None if record is None else Rack(record.rack, run_dir.resolve())


def down(run_dir: Path) -> None:
    """End everything and forget the rack; logs stay, disks go. Harmless to repeat."""
    run_dir = run_dir.resolve()
    if not run_dir.exists():
        return
    with ledger.locked(run_dir):
        record = ledger.load(run_dir)
        if record is None:
            return
        namespace = record.rack.namespace
        machines = [p for p in record.processes if p.role.startswith("machine:")]
        for process in reversed(record.processes):
            if process not in machines:
                _stop_session(namespace, process, 10.0)
        with ThreadPoolExecutor(max_workers=8) as pool:
            list(pool.map(lambda process: _stop_session(namespace, process, 10.0), machines))
        netns.delete(namespace)
        for node in record.rack.nodes:
            for path in (run_dir / node.name).glob("*"):
                if path.suffix not in (".log", ".json"):
                    path.unlink(missing_ok=True)
        ledger.remove(run_dir)


def status(run_dir: Path) -> dict[str, Any]:
    """{"is_up", "namespace", "address", "machines": [{name, firmware, mac, bmc, power, has_bmc}], "forwards": {…}}."""
    record = ledger.load(run_dir.resolve())
    if record is None:
        return {"is_up": False, "machines": [], "forwards": {}}
    return {
        "is_up": netns.exists(record.rack.namespace),
        "namespace": record.rack.namespace,
        "address": record.rack.address,
        "machines": [_machine_status(node, run_dir / node.name) for node in record.rack.nodes],
        "forwards": {role: port for role, port in record.forwards.items() if record.process(role) is not None},
        "processes": {p.role: p.pid for p in record.processes if p.is_alive()},
    }


def tail(path: Path, lines: int) -> list[str]:
    """The last lines of a log or console, without control characters."""
    text = newest(path, 200 * lines + 4096)
    text = _ESCAPE.sub("", text)
    clean = "".join(c if c.isprintable() or c == "\n" else "" for c in text.replace("\r\n", "\n").replace("\r", "\n"))
    return [line for line in clean.split("\n") if line.strip()][-lines:]


def newest(path: Path, size_bytes: int) -> str:
    """The end of a log; empty when there is none."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - size_bytes))
            return log.read().decode(errors="replace")
    except FileNotFoundError:
        return ""


def _begin(rack: spec.RackSpec, run_dir: Path) -> Ledger:
    if netns.exists(rack.namespace):
        raise LabFailed(
            f"the network namespace {rack.namespace} exists already",
            why=f"it was not made by a rack of {run_dir}",
            next_step="take that rack down, or give this one another name",
        )
    for node in rack.nodes:
        shutil.rmtree(run_dir / node.name, ignore_errors=True)
    record = Ledger(rack=rack)
    ledger.save(record, run_dir)
    return record


def _start_machines(record: Ledger, rack: spec.RackSpec, run_dir: Path) -> list[spec.NodeSpec]:
    """Start those that do not run; returns those that do."""
    kept = []
    try:
        netns.create(rack)
        for node in rack.nodes:
            if record.process(f"machine:{node.name}") is None:
                _start_machine(record, rack, node, run_dir)
            else:
                kept.append(node)
    except (tools.ToolFailed, tools.ToolMissing, OSError) as cause:
        raise LabFailed("the rack's network could not be made", why=str(cause)) from cause
    finally:
        ledger.save(record, run_dir)
    return kept


def _start_machine(record: Ledger, rack: spec.RackSpec, node: spec.NodeSpec, run_dir: Path) -> None:
    directory = run_dir / node.name
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "node.json").write_text(spec.to_json(node))
    words = processes.module("appliance.lab.machine", str(directory / "node.json"))
    words = netns.inside(rack.namespace, words)
    record.add(
        processes.start(f"machine:{node.name}", words, log=directory / _LOG_FILE, environment=processes.environment())
    )


def _answers(record: Ledger, node: spec.NodeSpec, run_dir: Path) -> bool:
    """Wait for its supervisor's first word; False when it died or said none in time."""
    deadline = time.monotonic() + _READY_LIMIT_S
    while record.process(f"machine:{node.name}") is not None and time.monotonic() < deadline:
        try:
            control.ask(run_dir / node.name, Action.STATUS)
        except ControlFailed:
            time.sleep(_POLL_S)
        else:
            return True
    return False


def _mute(node: spec.NodeSpec, run_dir: Path) -> LabFailed:
    log = run_dir / node.name / _LOG_FILE
    return LabFailed(
        f"{node.name} did not come up",
        why=" / ".join(tail(log, 3)) or "its supervisor said nothing",
        next_step=f"read {log}",
    )


def _first_line_port(relay: Started, log: Path) -> int:
    deadline = time.monotonic() + _READY_LIMIT_S
    while time.monotonic() < deadline:
        line, newline, _ = log.read_text().partition("\n")
        if newline and line.isdigit():
            return int(line)
        if not relay.is_alive():
            break
        time.sleep(_POLL_S)
    raise LabFailed("a forwarded port could not be opened", why=" / ".join(tail(log, 3)))


def _stop_session(namespace: str, leader: Started, grace_s: float) -> None:
    """The process, then its descendants that are still inside: their session bears its id."""
    processes.stop(leader, grace_s=grace_s)
    for pid in netns.process_ids(namespace):
        follower = processes.identify(leader.role, pid)
        if follower is not None and processes.session_of(pid) == leader.pid:
            processes.stop(follower, grace_s=1.0)


def _machine_status(node: spec.NodeSpec, directory: Path) -> dict[str, Any]:
    try:
        seen = control.ask(directory, Action.STATUS)
    except ControlFailed:
        seen = {"power": "unknown", "has_bmc": False}
    return {
        "name": node.name,
        "firmware": node.firmware,
        "mac": node.mac,
        "bmc": node.bmc_address,
        "power": seen["power"],
        "has_bmc": seen["has_bmc"],
        "console": str(directory / CONSOLE_FILE),
    }
