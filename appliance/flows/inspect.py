"""inspect: let the agent report the hardware. manageable -> inspecting -> manageable."""

from typing import Any

from appliance.domain.lifecycle import Outcome
from appliance.domain.steps import Next
from appliance.flows import agent_boot, agent_work
from appliance.flows.moves import move
from appliance.flows.procedure import Procedure, Record, Step, Turn
from appliance.models.node import Inventory

inspect = Procedure("inspect")


def _with_agent(_turn: Turn) -> Step:
    return ask_inventory


agent_boot.add_to(inspect, then=_with_agent)
_watch = agent_work.watch_in(inspect)


@inspect.record()
def ask_inventory(turn: Record) -> Next:
    return agent_work.ask(turn, "inspect", {}, then=store_inventory, within_s=turn.policy.inspect_s, lost=_watch)


@inspect.record()
def store_inventory(turn: Record) -> Next:
    """The report replaces the last one; the properties that schedulers read follow it, others stay."""
    report = agent_work.answer(turn).get("inventory")
    if not isinstance(report, dict):
        return turn.failed("The agent answered without an inventory.")
    row = turn.session.get(Inventory, turn.node.id)
    if row is None:
        row = Inventory(node_id=turn.node.id, reported_at=turn.now, report=report)
        turn.session.add(row)
    row.reported_at, row.report = turn.now, report
    turn.node.inspection_finished_at = turn.now
    turn.node.properties = {**turn.node.properties, **properties_of(report)}
    if report.get("boot_mode") in {"bios", "uefi"}:
        turn.node.boot_mode = report["boot_mode"]
    move(turn, Outcome.DONE, "inspected")
    return turn.done("the hardware is known")


def properties_of(report: dict[str, Any]) -> dict[str, Any]:
    """Ironic's property names. local_gb: of the smallest disk, in whole GiB: what surely fits; 0 without disks."""
    cpu = report.get("cpu") or {}
    sizes = [disk["size_bytes"] for disk in report.get("disks") or [] if isinstance(disk.get("size_bytes"), int)]
    found = {
        "cpus": cpu.get("threads") or cpu.get("cores"),
        "cpu_arch": cpu.get("architecture"),
        "memory_mb": report.get("memory_mib"),
        "local_gb": min(sizes, default=0) // 2**30,
    }
    return {name: value for name, value in found.items() if value is not None}
