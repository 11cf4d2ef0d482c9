"""What a rack has started, on disk, so that any later process can tear it down: RUN_DIR/rack.json.

Written before the thing it speaks of exists, wherever that is possible: after a crash there may be an entry too many,
never one too few. One lock file keeps two commands from working on one rack at the same time.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from appliance.domain.errors import Invalid
from appliance.lab import spec
from appliance.lab.errors import LabFailed
from appliance.lab.processes import Started

FILE = "rack.json"
_LOCK = "rack.lock"


@dataclass(slots=True)
class Ledger:
    """processes: in the order of their start. forwards: role of the relay → port on 127.0.0.1."""

    rack: spec.RackSpec
    processes: list[Started] = field(default_factory=list)
    forwards: dict[str, int] = field(default_factory=dict)

    def process(self, role: str) -> Started | None:
        """The one that is alive, if any."""
        return next((p for p in self.processes if p.role == role and p.is_alive()), None)

    def add(self, process: Started) -> None:
        self.processes = [p for p in self.processes if p.role != process.role or p.is_alive()]
        self.processes.append(process)

    def forget(self, role: str) -> None:
        self.processes = [p for p in self.processes if p.role != role]
        self.forwards.pop(role, None)


def load(run_dir: Path) -> Ledger | None:
    """None when there is no rack. Raises LabFailed when the file is not one of ours."""
    try:
        text = (run_dir / FILE).read_text()
    except FileNotFoundError:
        return None
    try:
        data = json.loads(text)
        return Ledger(
            rack=spec.rack_from_json(json.dumps(data["rack"])),
            processes=[Started(**entry) for entry in data["processes"]],
            forwards={str(role): int(port) for role, port in data["forwards"].items()},
        )
    except (Invalid, ValueError, KeyError, TypeError, AttributeError) as cause:
        raise LabFailed(
            f"{run_dir / FILE} is not the record of a rack", why=str(cause), next_step="choose another directory"
        ) from cause


def save(ledger: Ledger, run_dir: Path) -> None:
    """All or nothing: a reader sees the old record or the new one."""
    data = {
        "rack": json.loads(spec.to_json(ledger.rack)),
        "processes": [asdict(process) for process in ledger.processes],
        "forwards": ledger.forwards,
    }
    draft = run_dir / f"{FILE}.new"
    with draft.open("w") as out:
        json.dump(data, out, indent=1)
        out.flush()
        os.fsync(out.fileno())
    draft.replace(run_dir / FILE)


def remove(run_dir: Path) -> None:
    (run_dir / FILE).unlink(missing_ok=True)


@contextmanager
def locked(run_dir: Path) -> Iterator[None]:
    """Hold the rack for one command. Raises LabFailed when another one holds it."""
    run_dir.mkdir(parents=True, exist_ok=True)
    with (run_dir / _LOCK).open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as cause:
            raise LabFailed(
                "another command is working on this rack", why=f"{run_dir / _LOCK} is held", next_step="wait for it"
            ) from cause
        yield
