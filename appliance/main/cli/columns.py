"""What a person sees of each kind of thing: columns of the table, and which may go first on a narrow terminal.

JSON output is the appliance's document and does not depend on this. A column's source is a path such as `bmc.address`
or a function of the item.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]
Source = str | Callable[[Json], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """wide: shown by `-o wide` only. drop: the highest number leaves a narrow table first; 0 never leaves.

    is_clock: a time that tables show as the clock showed it, and not as "3m ago".
    is_long: prose, which is shortened before anything else.
    """

    name: str
    source: Source
    wide: bool = False
    drop: int = 5
    is_clock: bool = False
    is_long: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """fields: names of the JSON document, for checking --fields when a list is empty. empty: what to say then."""

    name: str
    plural: str
    identity: tuple[str, ...]
    columns: tuple[Column, ...]
    fields: tuple[str, ...] = ()
    empty: str = ""


def dig(item: Json, path: str) -> object:
    """The value at a dotted path, or None."""
    value: object = item
    for step in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def human_bytes(number: object) -> str:
    """`1.5 GiB`."""
    if not isinstance(number, int | float) or isinstance(number, bool):
        return ""
    size = float(number)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(size) < 1024 or unit == "TiB":
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1024
    raise AssertionError("unreachable: the last unit returns")


def doing(node: Json) -> str:
    """What a node is about: its progress, what it waits for, or why it stands still."""
    progress, waiting, failure = node.get("progress"), node.get("waiting"), node.get("failure")
    if node.get("maintenance"):
        return f"maintenance: {node.get('maintenance_reason') or 'no reason given'}"
    if isinstance(progress, Mapping):
        done, total = progress.get("done"), progress.get("total")
        share = f" {100 * done // total}%" if isinstance(done, int) and isinstance(total, int) and total > 0 else ""
        return f"{progress.get('phase') or ''}{share}".strip()
    if isinstance(waiting, Mapping):
        return f"waits for {_awaited(str(waiting.get('for')))}"
    if isinstance(failure, Mapping):
        return f"{failure.get('step')}: {failure.get('reason')}"
    return str(node.get("fault") or node.get("last_error") or "")


def _awaited(signal: str) -> str:
    """A signal in words; what is not a signal's name stays as it is."""
    if signal.startswith("agent.command:"):
        return "the agent to finish"
    return {"agent.alive": "the agent to call", "call-home": "the system to call home"}.get(signal, signal)


def address_of(node: Json) -> object:
    """Where the node can be reached: its instance's address, else the one reserved for a port."""
    ports = node.get("ports") or []
    reserved = next((port.get("address") for port in ports if isinstance(port, Mapping) and port.get("address")), None)
    return dig(node, "instance.address") or reserved


def _bmc(node: Json) -> object:
    address, udp_port = dig(node, "bmc.address"), dig(node, "bmc.udp_port")
    return f"{address}:{udp_port}" if address and udp_port not in {None, 623} else address


def _sel_time(entry: Json) -> object:
    at_s = entry.get("at_s")
    if not isinstance(at_s, int):
        return entry.get("at")
    return datetime.fromtimestamp(at_s, UTC).isoformat().replace("+00:00", "Z")


def _size(path: str) -> Callable[[Json], object]:
    return lambda item: human_bytes(dig(item, path)) or None


def _node_of(item: Json) -> object:
    node = item.get("node")
    return (node.get("name") or node.get("uuid")) if isinstance(node, Mapping) else node


def _waits(flow: Json) -> object:
    wait = flow.get("waiting")
    return _awaited(str(wait.get("for"))) if isinstance(wait, Mapping) else wait


NODE = Kind(
    name="node",
    plural="nodes",
    identity=("name", "uuid"),
    columns=(
        Column(name="name", source=lambda node: node.get("name") or node.get("uuid"), drop=0),
        Column(name="state", source="provision_state", drop=1),
        Column(name="power", source="power_state", drop=2),
        Column(name="doing", source=doing, drop=3, is_long=True),
        Column(name="address", source=address_of, drop=4),
        Column(name="rack", source="rack", drop=6),
        Column(name="unit", source="rack_unit", wide=True, drop=9),
        Column(name="driver", source="driver", wide=True, drop=8),
        Column(name="bmc", source=_bmc, wide=True, drop=7),
        Column(name="macs", source="macs", wide=True, drop=7),
        Column(name="boot", source="boot_mode", wide=True, drop=8),
        Column(name="changed", source="provision_updated_at", wide=True, drop=9),
        Column(name="uuid", source="uuid", wide=True, drop=10),
    ),
    fields=(
        "uuid", "name", "provision_state", "target_provision_state", "power_state", "target_power_state", "driver",
        "bmc.address", "bmc.udp_port", "bmc.username", "bmc.verified_at", "maintenance", "maintenance_reason", "fault",
        "last_error", "failure.step", "failure.reason", "failure.at", "failure.next", "boot_mode", "architecture",
        "resource_class", "rack", "rack_unit", "properties", "extra", "macs", "ports", "instance.image",
        "instance.hostname", "instance.address", "agent.address", "agent.version", "agent.seen_at", "waiting.for",
        "waiting.since", "waiting.deadline", "waiting.then", "progress.phase", "progress.done", "progress.total",
        "progress.message", "created_at", "updated_at", "provision_updated_at",
    ),
    empty="no nodes yet; next: rackwright node enroll --help, or boot a machine from the network",
)  # fmt: skip

IMAGE = Kind(
    name="image",
    plural="images",
    identity=("name", "uuid"),
    columns=(
        Column(name="name", source="name", drop=0),
        Column(name="status", source="status", drop=1),
        Column(name="format", source="disk_format", drop=4),
        Column(name="size", source=_size("size_bytes"), drop=3),
        Column(name="disk", source=_size("virtual_size_bytes"), drop=5),
        Column(name="problem", source="problem", drop=2, is_long=True),
        Column(name="sha256", source="sha256", wide=True, drop=9),
        Column(name="created", source="created_at", wide=True, drop=8),
        Column(name="uuid", source="uuid", wide=True, drop=10),
    ),
    fields=("uuid", "name", "status", "problem", "waits_for", "disk_format", "size_bytes", "virtual_size_bytes",
            "sha256", "properties", "created_at", "updated_at"),
    empty="no images yet; next: rackwright image build debian-12",
)  # fmt: skip

SUBNET = Kind(
    name="subnet",
    plural="subnets",
    identity=("name",),
    columns=(
        Column(name="name", source="name", drop=0),
        Column(name="cidr", source="cidr", drop=1),
        Column(name="pool", source="pool", drop=4),
        Column(name="interface", source="interface", drop=2),
        Column(name="gateway", source="gateway", drop=3),
        Column(name="domain", source="domain", wide=True, drop=8),
        Column(name="lease_s", source="lease_s", wide=True, drop=9),
    ),
    fields=("uuid", "name", "cidr", "pool", "interface", "gateway", "domain", "lease_s"),
    empty="no subnets yet; next: rackwright subnet create --help",
)

SIGHTING = Kind(
    name="sighting",
    plural="sightings",
    identity=("mac",),
    columns=(
        Column(name="mac", source="mac", drop=0),
        Column(name="address", source="address", drop=2),
        Column(name="firmware", source="firmware", drop=3),
        Column(name="times", source="times_seen", drop=4),
        Column(name="last_seen", source="last_seen_at", drop=1),
        Column(name="first_seen", source="first_seen_at", wide=True, drop=8),
    ),
    fields=("mac", "address", "firmware", "times_seen", "first_seen_at", "last_seen_at"),
    empty="no unknown machine has booted from the network",
)

FLOW = Kind(
    name="flow",
    plural="flows",
    identity=("uuid",),
    columns=(
        Column(name="uuid", source="uuid", drop=0),
        Column(name="kind", source="kind", drop=1),
        Column(name="node", source=_node_of, drop=1),
        Column(name="state", source=lambda flow: flow.get("status") or flow.get("state"), drop=2),
        Column(name="step", source="step", drop=3),
        Column(name="waits_for", source=_waits, drop=4),
        Column(name="deadline", source="deadline", drop=5),
        Column(name="actor", source="actor", wide=True, drop=8),
        Column(name="started", source="created_at", wide=True, drop=9),
    ),
    fields=(
        "uuid",
        "kind",
        "node",
        "status",
        "step",
        "steps",
        "actor",
        "waiting.for",
        "waiting.since",
        "waiting.then",
        "deadline",
        "reason",
        "abort_asked",
        "created_at",
        "updated_at",
        "finished_at",
    ),
    empty="no work is going on",
)

STEP = Kind(
    name="step",
    plural="steps",
    identity=("step",),
    columns=(
        Column(name="at", source="at", drop=2, is_clock=True),
        Column(name="step", source="step", drop=0),
        Column(name="kind", source="kind", drop=3),
        Column(name="took_s", source="duration_s", drop=2),
        Column(name="message", source="message", drop=1, is_long=True),
    ),
    empty="no step was taken yet",
)

LEASE = Kind(
    name="lease",
    plural="leases",
    identity=("address",),
    columns=(
        Column(name="address", source="address", drop=0),
        Column(name="mac", source="mac", drop=1),
        Column(name="hostname", source="hostname", drop=2),
        Column(name="subnet", source="subnet", drop=3),
        Column(name="expires", source="expires_at", drop=2),
    ),
    fields=("address", "mac", "hostname", "subnet", "expires_at"),
    empty="no address is lent",
)

EVENT = Kind(
    name="event",
    plural="events",
    identity=("id",),
    columns=(
        Column(name="id", source="id", wide=True, drop=9),
        Column(name="at", source="at", drop=1, is_clock=True),
        Column(name="node", source=lambda item: _node_of(item) or item.get("mac"), drop=2),
        Column(name="kind", source="kind", drop=3),
        Column(name="message", source="message", drop=0, is_long=True),
        Column(name="took_s", source="duration_s", drop=5),
        Column(name="actor", source="actor", drop=6),
    ),
    fields=("id", "at", "node", "mac", "kind", "message", "actor", "data", "duration_s"),
    empty="no events",
)

SENSOR = Kind(
    name="sensor",
    plural="sensors",
    identity=("name",),
    columns=(
        Column(name="name", source="name", drop=0),
        Column(name="value", source="value", drop=1),
        Column(name="unit", source="unit", drop=2),
        Column(name="health", source="health", drop=1),
        Column(name="kind", source="kind", drop=4),
    ),
    empty="the BMC has no sensors",
)

SEL = Kind(
    name="sel-entry",
    plural="entries",
    identity=("record_id",),
    columns=(
        Column(name="id", source="record_id", drop=3),
        Column(name="at", source=_sel_time, drop=1, is_clock=True),
        Column(name="sensor", source="sensor", drop=2),
        Column(name="event", source="event", drop=0),
        Column(name="severity", source="severity", drop=2),
    ),
    empty="the system event log is empty",
)

CHECK = Kind(
    name="check",
    plural="checks",
    identity=("name",),
    columns=(
        Column(name="check", source="name", drop=0),
        Column(name="result", source=lambda item: "ok" if item.get("ok") else "FAIL", drop=0),
        Column(name="detail", source="detail", drop=1, is_long=True),
        Column(name="next", source="next", drop=2, is_long=True),
    ),
    fields=("name", "ok", "detail", "next"),
)

ENROLLED = Kind(
    name="enrolment",
    plural="enrolments",
    identity=("name",),
    columns=(
        Column(name="line", source="line", drop=0),
        Column(name="name", source="name", drop=0),
        Column(name="result", source="result", drop=0),
        Column(name="reason", source="reason", drop=1, is_long=True),
    ),
    fields=("line", "name", "result", "reason", "uuid"),
    empty="the file has no machine in it",
)

RESULT = Kind(
    name="result",
    plural="results",
    identity=("name",),
    columns=(
        Column(name="name", source="name", drop=0),
        Column(name="result", source="result", drop=0),
        Column(name="state", source="state", drop=2),
        Column(name="reason", source="reason", drop=1, is_long=True),
    ),
    fields=("name", "uuid", "result", "state", "reason", "flow", "exit_code"),
)

PLAIN = Kind(name="object", plural="items", identity=("name", "uuid"), columns=())
"""Things without a table of their own: shown as their fields."""
