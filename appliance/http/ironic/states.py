"""/v1/nodes/{node}/states: what state a node is in; power, boot mode, RAID and console. Verbs: provision."""

from typing import Any

from flask import Response

from appliance.domain.errors import Conflict, NotFound
from appliance.domain.lifecycle import TRANSIENT, State
from appliance.http.ironic import hardware, management, node_access, node_body, node_fields, pages, policy
from appliance.http.ironic.call import Call, Route
from appliance.http.ironic.drivers import LOGICAL_DISK, RAID_LEVELS
from appliance.http.ironic.errors import BadRequest
from appliance.http.ironic.node_access import find, find_to_change
from appliance.http.json_body import nothing, read_object
from appliance.models import event
from appliance.models.node import Node, lock
from appliance.services import nodes, power
from bmc.api import HasSecureBoot
from bmc.types import PowerAction

SOFT_SINCE = 27
BOOT_MODE_SINCE = 76
MOST_RAID_BYTES = 65536
_SHOWN = ("console_enabled", "last_error", "power_state", "provision_state", "target_power_state",
          "target_provision_state", "provision_updated_at", "raid_config", "target_raid_config", "boot_mode",
          "secure_boot")  # fmt: skip
_POWER = {
    "power on": PowerAction.ON,
    "power off": PowerAction.OFF,
    "rebooting": PowerAction.CYCLE,
    "soft rebooting": PowerAction.ON,
    "soft power off": PowerAction.SOFT_OFF,
}
_SOFT = frozenset({"soft rebooting", "soft power off"})
_LONGEST_TIMEOUT_S = 3600


def routes() -> list[Route]:
    below = "/nodes/<ident>/states"
    return [
        Route(method="GET", path=below, view=_states),
        Route(method="PUT", path=f"{below}/power", view=_power),
        Route(method="PUT", path=f"{below}/raid", view=_raid),
        Route(method="GET", path=f"{below}/console", view=_console),
        Route(method="PUT", path=f"{below}/console", view=_set_console),
        Route(method="PUT", path=f"{below}/boot_mode", view=_boot_mode, since=BOOT_MODE_SINCE),
        Route(method="PUT", path=f"{below}/secure_boot", view=_secure_boot, since=BOOT_MODE_SINCE),
    ]


def accepted(call: Call, ident: str, *tail: str) -> Response:
    """202, with the place where the outcome will be seen."""
    response = Response(status=202)
    response.headers["Location"] = "/".join([f"{call.v1}/nodes/{ident}", *tail])
    return response


def _states(call: Call, ident: str) -> Response:
    pages.nothing_but(call.arguments, frozenset())
    names = [name for name in _SHOWN if node_fields.SINCE[name] <= call.minor]
    shape = node_fields.shape(names, call.minor)
    with call.context.database.glance() as connection:
        row = node_access.row(connection, call, shape, ident)
    return call.show(shape.render(row, call.root, project=policy.project_of(call.actor)))


def _power(call: Call, ident: str) -> Response:
    body = read_object()
    pages.nothing_but(body, frozenset({"target", "timeout"}))
    target, timeout = body.get("target"), body.get("timeout")
    if (isinstance(target, str) and target in _SOFT) or timeout is not None:
        call.require(SOFT_SINCE)
    limit_s = _timeout(timeout)
    context = call.context
    with context.database.write() as session:
        node = find_to_change(session, call, ident, policy.PROJECT_MEMBER, "baremetal:node:set_power_state")
        action = _action(node, target)
        power.ask(session, node, action, actor=call.actor.name, now=context.clock())
        node_id = node.id
    context.background.submit(
        power.carry_out, context.database, context.connect, node_id, action, context.clock,
        confirm_s=limit_s, first=PowerAction.SOFT_OFF if target == "soft rebooting" else None,
    )  # fmt: skip
    return accepted(call, ident, "states")


def _timeout(value: Any) -> float:
    if value is None:
        return power.CONFIRM_S
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 6 else value
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise BadRequest("timeout has to be positive integer")
    if number > _LONGEST_TIMEOUT_S:
        raise BadRequest(f"timeout is at most {_LONGEST_TIMEOUT_S} seconds")
    return float(number)


def _action(node: Node, target: Any) -> PowerAction:
    action = _POWER.get(target) if isinstance(target, str) else None
    if action is None:
        raise _impossible(node, str(target)[:64], str(node.power_state))
    if node.provision_state in (State.CLEANING, State.CLEANWAIT):
        raise _impossible(node, str(target), node.provision_state)
    if node.keeps_power and action in (PowerAction.OFF, PowerAction.SOFT_OFF):
        raise Conflict(f"Failed to set node power state to {target}.", why="power off is disabled for this node")
    return action


def _impossible(node: Node, action: str, state: str) -> BadRequest:
    return BadRequest(
        f'The requested action "{action}" can not be performed on node "{node.uuid}" while it is in state "{state}".'
    )


def _raid(call: Call, ident: str) -> Response:
    """Only pretended hardware has RAID to configure: there the wish is kept for the steps that pretend to make it."""
    call.require(12)
    wish = read_object(MOST_RAID_BYTES)
    disks = wish.get("logical_disks", [])
    with call.context.database.write() as session:
        node = find_to_change(session, call, ident, policy.OWNER_MEMBER, "baremetal:node:set_raid_state")
        if node_fields.way(node, "raid") == "no-raid":
            raise NotFound(str(hardware.unsupported(node.driver, "set_target_raid_config")))
        if set(wish) - {"logical_disks"} or not isinstance(disks, list) or not all(map(_is_disk, disks)):
            raise BadRequest(
                "RAID config validation error: it has logical_disks, each with size_gb (a whole number or MAX) and "
                f"raid_level (one of {', '.join(RAID_LEVELS)})"
            )
        if "logical_disks" in wish and not disks:
            raise BadRequest("RAID config validation error: logical_disks should be non-empty")
        node.target_raid, node.updated_at = wish, call.context.clock()
    return nothing()


def _is_disk(disk: Any) -> bool:
    if not isinstance(disk, dict) or not {"size_gb", "raid_level"} <= set(disk) <= set(LOGICAL_DISK):
        return False
    size = disk["size_gb"]
    fits = size == "MAX" or (isinstance(size, int) and not isinstance(size, bool) and size >= 0)
    return fits and disk["raid_level"] in RAID_LEVELS


def _console(call: Call, ident: str) -> Response:
    with call.context.database.read() as session:
        node = find(session, call, ident, policy.OWNER_MEMBER, "baremetal:node:get_console")
    raise hardware.unsupported(node.driver, "console")


def _set_console(call: Call, ident: str) -> Response:
    body = read_object()
    with call.context.database.read() as session:
        node = find(session, call, ident, policy.OWNER_MEMBER, "baremetal:node:set_console_state")
    if node_body.boolean("enabled", body.get("enabled")) is None:
        raise BadRequest("Missing mandatory parameter: enabled")
    raise hardware.unsupported(node.driver, "console")


def _boot_mode(call: Call, ident: str) -> Response:
    """From here on the machine is booted in this mode: each boot of ours asks its BMC for it."""
    target = read_object().get("target")
    context, now = call.context, call.context.clock()
    with context.database.write() as session:
        node = find_to_change(session, call, ident, policy.PROJECT_MEMBER, "baremetal:node:set_boot_mode")
        if target not in ("bios", "uefi"):
            raise BadRequest(
                f"Invalid boot mode {str(target)[:32]} requested for node. Allowed boot modes are: bios, uefi"
            )
        _refuse_on_its_way(node)
        node.boot_mode, node.updated_at = target, now
        event.record(
            session, at=now, kind="node.changed", actor=call.actor.name, node_id=node.id, message=f"boot mode {target}"
        )
    return accepted(call, ident, "states")


def _secure_boot(call: Call, ident: str) -> Response:
    """It is set when this is answered; the machine follows with its next boot."""
    target = read_object().get("target")
    with call.context.database.read() as session:
        node = find(session, call, ident, policy.PROJECT_MEMBER, "baremetal:node:set_secure_boot")
        nodes.refuse_held(session, node, "its secure boot is not changed now")
    on = node_body.boolean("target", target)
    if on is None:
        raise BadRequest("Invalid secure_boot None requested for node. Allowed secure_boot states are: True, False)")
    _refuse_on_its_way(node)
    with call.bmc(node) as bmc:
        if not isinstance(bmc, HasSecureBoot):
            raise hardware.unsupported(node.driver, "set_secure_boot_state")
        management.refuse_unreachable(node)
        bmc.set_secure_boot(on=on)
    with call.context.database.write() as session:
        live = lock(session, node.id)
        if live is not None:
            live.has_secure_boot = on
    management.note(call, node, f"secure boot {'on' if on else 'off'}")
    return accepted(call, ident, "states")


def _refuse_on_its_way(node: Node) -> None:
    if node.provision_state in TRANSIENT:
        raise Conflict(
            f"Node is in {node.provision_state} state. Since node is transitioning, the boot mode will not be set as "
            "this may interfere with ongoing changes and result in erroneous modification. Try again later."
        )
