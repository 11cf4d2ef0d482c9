"""What is asked of a node's BMC: power, boot device, sensors, event log, FRU, locator light, NMI."""

from typing import Any

import click

from appliance.main.cli.columns import PLAIN, RESULT, SEL, SENSOR
from appliance.main.cli.exits import Exit, Failure, combined, from_client, tell, usage
from appliance.main.cli.frame import seconds, verb
from appliance.main.cli.invocation import Invocation
from appliance.main.cli.targets import canonical, missing, node_arguments
from appliance.main.client_errors import ApiError

Json = dict[str, Any]

ACTIONS = ("on", "off", "soft-off", "reset", "cycle", "status")
DEVICES = ("none", "pxe", "disk", "cdrom", "bios")


def call_part(inv: Invocation, ref: str, method: str, tail: str, body: Json | None = None) -> Json:
    """Ask for one part of a node; a missing node comes with suggestions."""
    from appliance.main.client import part

    try:
        answer = inv.client().call(method, f"/v1/nodes/{part(canonical(ref))}/{tail}", body=body).body
    except ApiError as error:
        raise missing(inv, ref, error) if error.status == 404 else from_client(error) from error
    return answer if isinstance(answer, dict) else {}


def read_part(inv: Invocation, ref: str, tail: str) -> Json:
    """GET one part of a node."""
    return call_part(inv, ref, "GET", tail)


@verb("rackwright node power cycle n1", data=True)
@click.argument("words", nargs=-1, required=True, metavar="on|off|soft-off|reset|cycle|status NODE...")
def power(inv: Invocation, *, words: tuple[str, ...]) -> int:
    """Read or change the power. `soft-off` asks the operating system; `cycle` drops the power, `reset` keeps it.

    A change is a request: `power status` tells what was observed.
    """
    action, refs = _action(words)
    rows = [_power(inv, ref, action, is_only=len(refs) == 1) for ref in refs]
    inv.show(RESULT, rows)
    return int(combined([row["exit_code"] for row in rows]))


def _action(words: tuple[str, ...]) -> tuple[str, list[str]]:
    """`on n1` and `n1 on` mean the same; `n1` alone asks for the state."""
    first, last = words[0], words[-1]
    if first in ACTIONS:
        action, refs = first, words[1:]
    elif last in ACTIONS:
        action, refs = last, words[:-1]
    else:
        action, refs = "status", words
    if not refs:
        raise usage("no node is named", next_step=f"rackwright node power {action} NODE")
    return action, list(dict.fromkeys(refs))


def _power(inv: Invocation, ref: str, action: str, *, is_only: bool) -> Json:
    try:
        if action == "status":
            seen = read_part(inv, ref, "power")
            return {"name": ref, "result": seen.get("power_state") or "unknown", "state": None,
                    "reason": f"observed {seen['observed_at']}" if seen.get("observed_at") else None,
                    "exit_code": Exit.OK}  # fmt: skip
        call_part(inv, ref, "PUT", "power", {"target": action})
    except Failure as failure:
        if is_only or failure.exit_code is Exit.DENIED:
            raise
        tell(failure, as_json=inv.style.is_json)
        return {"name": ref, "result": "refused", "reason": failure.message, "exit_code": failure.exit_code}
    return {"name": ref, "result": f"{action} requested", "exit_code": Exit.OK}


@verb("rackwright node boot-device n1 pxe", data=True)
@node_arguments(many=False)
@click.argument("device", required=False, type=click.Choice(DEVICES), metavar="[none|pxe|disk|cdrom|bios]")
@click.option("--persistent", is_flag=True, help="For every boot, not only the next.")
@click.option("--uefi/--bios", default=None, help="How to boot it; the node's own boot mode unless said.")
def boot_device(inv: Invocation, *, node: str, device: str | None, persistent: bool, uefi: bool | None) -> None:
    """Read or set what the machine boots from next."""
    if device is None:
        if persistent or uefi is not None:
            raise usage("no device is named", next_step=f"rackwright node boot-device {node} pxe")
        inv.show_one(PLAIN, read_part(inv, node, "boot-device"))
        return
    body: Json = {"device": device, "persistent": persistent}
    if uefi is not None:
        body["uefi"] = uefi
    answer = call_part(inv, node, "PUT", "boot-device", body)
    inv.show_one(PLAIN, answer or body)


@verb("rackwright node sensors n1", data=True)
@node_arguments(many=False)
def sensors(inv: Invocation, *, node: str) -> None:
    """Read the BMC's sensors."""
    inv.show(SENSOR, _items(read_part(inv, node, "sensors")))


@verb("rackwright node sel n1", data=True)
@node_arguments(many=False)
def sel(inv: Invocation, *, node: str) -> None:
    """Read the BMC's system event log."""
    inv.show(SEL, _items(read_part(inv, node, "sel")))


@verb("rackwright node inventory n1 -o yaml", data=True)
@node_arguments(many=False)
def inventory(inv: Invocation, *, node: str) -> None:
    """Show what the agent found in the machine at the last `inspect`: processors, memory, disks, network, firmware."""
    answer = read_part(inv, node, "inventory")
    found = answer.get("inventory")
    inv.show_one(PLAIN, {"reported_at": answer.get("reported_at"), **(found if isinstance(found, dict) else {})})


@verb("rackwright node fru n1", data=True)
@node_arguments(many=False)
def fru(inv: Invocation, *, node: str) -> None:
    """Read the inventory that the BMC keeps: maker, model, serial numbers."""
    answer = read_part(inv, node, "fru")
    if isinstance(answer.get("items"), list):
        inv.show(PLAIN, _items(answer))
    else:
        inv.show_one(PLAIN, answer)


@verb("rackwright node identify n1 --for 60s", data=True)
@node_arguments()
@click.option("--for", "duration", default="15s", show_default=True, metavar="DURATION", help="0 switches it off.")
def identify(inv: Invocation, *, nodes: tuple[str, ...], duration: str) -> None:
    """Blink the locator light."""
    body: Json = {"seconds": int(seconds(duration))}
    for node in dict.fromkeys(nodes):
        call_part(inv, node, "PUT", "identify", body)
    inv.show(RESULT, ({"name": node, "result": f"identify {body['seconds']} s", "exit_code": 0} for node in nodes))


@verb("rackwright node nmi n1", data=True)
@node_arguments()
def nmi(inv: Invocation, *, nodes: tuple[str, ...]) -> None:
    """Interrupt a machine that hangs (NMI): its system writes down what it was doing, and may restart."""
    asked = list(dict.fromkeys(nodes))
    for node in asked:
        call_part(inv, node, "PUT", "nmi", {})
    inv.show(RESULT, ({"name": node, "result": "NMI injected", "exit_code": 0} for node in asked))


def _items(answer: Json) -> list[Json]:
    return [item for item in answer.get("items") or [] if isinstance(item, dict)]
