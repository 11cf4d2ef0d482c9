"""`lab up|down|status` raise the virtual rack on this machine; `lab simulate` enrolls a fleet on the fake driver."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from appliance.main.cli.columns import PLAIN, Column, Kind
from appliance.main.cli.exits import Exit, Failure, from_client, usage
from appliance.main.cli.frame import seconds, verb
from appliance.main.cli.invocation import Invocation
from appliance.main.client_errors import ApiError

Json = dict[str, Any]

RUN_DIR = "/var/lib/rackwright-lab"
BATCH = 500
UNITS = 42
WORK_FAULTS = ("inspect", "clean", "deploy", "undeploy", "agent", "home", "power")
"""Faults that the fake driver and the pretend agent know by these names; `agent`: it never calls; `home`: the installed
system never calls home."""
BMC_FAULTS = ("unreachable", "denied", "busy", "nonsense")
"""Ways in which a BMC fails; one of them at a time, whatever it is asked."""
FAULTS = (*WORK_FAULTS, *BMC_FAULTS)

MACHINE = Kind(
    name="machine",
    plural="machines",
    identity=("name",),
    columns=(
        Column(name="name", source="name", drop=0),
        Column(name="firmware", source="firmware", drop=2),
        Column(name="power", source="power", drop=1),
        Column(name="mac", source="mac", drop=3),
        Column(name="bmc", source=lambda item: item.get("bmc") or item.get("bmc_address"), drop=3),
        Column(name="has_bmc", source="has_bmc", wide=True, drop=6),
    ),
    empty="the rack is down; next: rackwright lab up",
)


def _run_dir(function: Any) -> Any:
    return click.option(
        "--run-dir", type=click.Path(path_type=Path, file_okay=False), default=RUN_DIR, show_default=True,
        metavar="DIR", help="Where the rack keeps disks and logs.",
    )(function)  # fmt: skip


@verb("rackwright lab up --bios 1 --uefi 1", data=True, reach="none")
@click.option("--bios", type=click.IntRange(0, 50), default=1, show_default=True, help="Machines with BIOS.")
@click.option("--uefi", type=click.IntRange(0, 50), default=1, show_default=True, help="Machines with UEFI.")
@click.option("--memory", type=click.IntRange(256), default=1024, show_default=True, metavar="MIB", help="Of each.")
@click.option("--disk", type=click.IntRange(0), default=8, show_default=True, metavar="GIB", help="Of each.")
@click.option("--namespace", default="rackwright-lab", show_default=True, metavar="NAME", help="The network namespace.")
@_run_dir
def up(inv: Invocation, *, bios: int, uefi: int, memory: int, disk: int, namespace: str, run_dir: Path) -> None:
    """Raise virtual machines with BMCs on a network of their own; machines that run already are kept. Needs root."""
    from appliance.lab import checks, rack, spec

    firmwares = ["bios"] * bios + ["uefi"] * uefi
    for lack in checks.lacks(machines=len(firmwares), memory_mib=memory, command="rackwright lab up"):
        raise Failure(lack.what, why=lack.why, next_step=lack.next_step, kind="cannot")
    wanted = spec.rack(firmwares, namespace=namespace, memory_mib=memory, disk_gib=disk)
    run_dir.mkdir(parents=True, exist_ok=True)
    rack.up(wanted, run_dir)
    _show(inv, rack.status(run_dir))
    for node in wanted.nodes[:1]:
        inv.note(f"their BMCs take {node.bmc_username} / {node.bmc_password}")
    inv.note(
        f"next: ip netns exec {namespace} rackwright serve --state DIR, "
        f"and a subnet on {wanted.cidr} with --interface {wanted.bridge}"
    )


@verb("rackwright lab status", data=True, reach="none")
@_run_dir
def status(inv: Invocation, run_dir: Path) -> int:
    """Show the virtual rack. Exit code 3 when it is down."""
    from appliance.lab import rack

    found = rack.status(run_dir)
    _show(inv, found)
    return int(Exit.OK if found.get("is_up") else Exit.NOT_FOUND)


@verb("rackwright lab down", reach="none")
@_run_dir
def down(inv: Invocation, run_dir: Path) -> None:
    """Take the virtual rack down: machines, disks, network. Logs stay."""
    from appliance.lab import rack

    rack.down(run_dir)
    inv.note(f"the rack in {run_dir} is down")


def _show(inv: Invocation, found: Json) -> None:
    if inv.style.format in {"json", "yaml"}:
        inv.show_one(PLAIN, {"format": "rackwright.lab/1", **found})
        return
    if found.get("is_up"):
        inv.note(f"rack in namespace {found.get('namespace')}, appliance at {found.get('address')}")
    inv.show(MACHINE, found.get("machines") or [])


@verb("rackwright lab simulate --racks 4 --nodes 160 --fail deploy=0.02", data=True)
@click.option("--racks", type=click.IntRange(1, 10_000), required=True, metavar="R", help="Racks to spread them over.")
@click.option("--nodes", type=click.IntRange(1, 200_000), required=True, metavar="N", help="Nodes in all.")
@click.option("--fail", "faults", multiple=True, metavar="KIND=RATE",
              help=f"Share of tries that fail, 0 to 1; KIND is one of {', '.join(FAULTS)}.")  # fmt: skip
@click.option("--delay", metavar="DURATION", help="How long each thing takes them; 0.5s unless said.")
@click.option("--prefix", default="sim", show_default=True, metavar="NAME", help="Their names start with it.")
def simulate(
    inv: Invocation, *, racks: int, nodes: int, faults: tuple[str, ...], delay: str | None, prefix: str
) -> int:
    """Enroll a fleet that exists on paper only (driver `fake`), for load and for looking at the console.

    Run again with more nodes to grow it; nodes that are there stay as they are.
    """
    options = _driver_options(dict(_rate(text) for text in faults))
    if delay is not None:
        options["agent_delay_s"] = seconds(delay)
    made = existing = 0
    problems: list[str] = []
    batch: list[Json] = []
    for body in [*_fleet(racks, nodes, prefix, options), None]:
        if body is not None:
            batch.append(body)
        if batch and (body is None or len(batch) == BATCH):
            new, old, bad = _send(inv, batch)
            made, existing, batch = made + new, existing + old, []
            problems += bad
            if nodes > BATCH:
                inv.note(f"{made + existing + len(problems)} of {nodes}")
    inv.show_one(PLAIN, {"created": made, "existing": existing, "failed": len(problems), "racks": racks})
    for text in problems[:10]:
        inv.note(text)
    if not problems:
        return int(Exit.OK)
    return int(Exit.PARTIAL if made + existing else Exit.FAILED)


def _send(inv: Invocation, batch: list[Json]) -> tuple[int, int, list[str]]:
    try:
        answer = inv.client().call("POST", "/v1/nodes/bulk", body={"nodes": batch, "check": False}, timeout_s=300).body
    except ApiError as error:
        raise from_client(error) from error
    items = answer.get("items") if isinstance(answer, dict) else None
    if not isinstance(items, list) or len(items) != len(batch):
        raise Failure("the appliance's answer does not fit the nodes sent")
    made = existing = 0
    problems = []
    for body, item in zip(batch, items, strict=True):
        given = item.get("error")
        words = given if isinstance(given, dict) else {"message": given}
        if item.get("ok") and not item.get("existing"):
            made += 1
        elif item.get("ok") or words.get("code") in {"conflict", "exists"}:
            existing += 1
        else:
            problems.append(f"{body['name']}: {words.get('message')}")
    return made, existing, problems


def _fleet(racks: int, nodes: int, prefix: str, options: Json) -> Iterator[Json]:
    """Machines that look like a fleet: the same call gives the same machines."""
    per_rack = -(-nodes // racks)
    for number in range(nodes):
        rack, place = divmod(number, per_rack)
        memory_mib = (65536, 131072, 262144)[number % 3]
        body: Json = {
            "name": f"{prefix}-r{rack + 1:02d}-n{place + 1:02d}",
            "driver": "fake",
            "macs": [_mac(number)],
            "boot_mode": "uefi" if number % 4 else "bios",
            "resource_class": f"sim-{memory_mib // 1024}g",
            "rack": f"{prefix}-r{rack + 1:02d}",
            "rack_unit": place % UNITS + 1,
            "properties": {"cpus": 32, "memory_mib": memory_mib, "disk_gib": 960, "vendor": "Simulated"},
        }
        if options:
            body["driver_options"] = options
        yield body


def _driver_options(rates: dict[str, float]) -> Json:
    """The fake driver's options: shares by name, and the kind of the BMC's failures."""
    kinds = [kind for kind in rates if kind in BMC_FAULTS]
    if len(kinds) > 1:
        raise usage(f"a BMC is either {kinds[0]} or {kinds[1]}", next_step="give one of them")
    shares = {kind: rate for kind, rate in rates.items() if kind in WORK_FAULTS}
    if not kinds:
        return {"fail": shares} if shares else {}
    return {"fail": {"power_state": rates[kinds[0]], "power": rates[kinds[0]], **shares}, "error": kinds[0]}


def _mac(number: int) -> str:
    # 02: locally administered, so no real card has it; 53:49 is "SI".
    digits = f"025349{number:06x}"
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def _rate(text: str) -> tuple[str, float]:
    kind, _, value = text.partition("=")
    if kind not in FAULTS:
        from difflib import get_close_matches

        near = get_close_matches(kind, FAULTS, n=1, cutoff=0.5)
        raise usage(
            f"--fail does not know {kind!r}",
            next_step=f"did you mean {near[0]!r}?" if near else f"one of {', '.join(FAULTS)}",
        )
    try:
        rate = float(value)
    except ValueError:
        rate = -1.0
    if not 0 <= rate <= 1:
        raise usage(f"--fail {text}: the rate is not a number from 0 to 1", next_step=f"write {kind}=0.05")
    return kind, rate
