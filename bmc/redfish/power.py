"""ComputerSystem.Reset: the reset types for what is asked, and those that stand in where a BMC lacks them."""

from collections.abc import Mapping, Sequence

from bmc.errors import Nonsense, Unsupported
from bmc.redfish.answers import Json
from bmc.redfish.tree import Tree, dig, text, words
from bmc.types import PowerAction, PowerState

RESET_TYPES: Mapping[PowerAction, tuple[str, ...]] = {
    PowerAction.ON: ("On", "ForceOn"),
    PowerAction.OFF: ("ForceOff",),
    PowerAction.SOFT_OFF: ("GracefulShutdown", "PushPowerButton"),
    PowerAction.RESET: ("ForceRestart",),
    PowerAction.CYCLE: ("PowerCycle", "ForceRestart"),  # some of HPE and Supermicro cannot drop the power by itself
}
INTERRUPT = ("Nmi",)
_STATES: Mapping[str, PowerState] = {
    "On": PowerState.ON,
    "PoweringOff": PowerState.ON,
    "Paused": PowerState.ON,
    "Off": PowerState.OFF,
    "PoweringOn": PowerState.OFF,
}


def state(system: Json) -> PowerState:
    found = _STATES.get(text(system, "PowerState"))
    if found is None:
        raise Nonsense("The BMC does not say whether the machine is on.")
    return found


def reset(tree: Tree, system: Json, kinds: Sequence[str]) -> None:
    """The first of these that the BMC offers; one that does not say what it offers is asked in turn."""
    found = dig(system, "Actions", "#ComputerSystem.Reset")
    path = text(found, "target") or f"{text(system, '@odata.id').rstrip('/')}/Actions/ComputerSystem.Reset"
    offered = words(found, "ResetType@Redfish.AllowableValues") or _in_action_info(tree, found)
    possible = [kind for kind in kinds if kind in offered] if offered else list(kinds)
    if not possible:
        raise Unsupported(f"The BMC cannot do {kinds[0]}; it offers {', '.join(offered[:20])}.")
    for kind in possible[:-1]:
        try:
            return tree.client.do(path, {"ResetType": kind})
        except Unsupported:
            continue
    return tree.client.do(path, {"ResetType": possible[-1]})


def _in_action_info(tree: Tree, action: Json) -> list[str]:
    """What newer services say in a resource of its own."""
    path = text(action, "@Redfish.ActionInfo")
    if not path:
        return []
    try:
        parameters = tree.get(path).get("Parameters")
    except Unsupported:
        return []
    rows = [one for one in parameters if isinstance(one, dict)] if isinstance(parameters, list) else []
    return next((words(one, "AllowableValues") for one in rows if one.get("Name") == "ResetType"), [])
