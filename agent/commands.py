"""The commands of the appliance: one literal table, one function each. Parameters are parsed here, once.

Each may be run twice: after a crash of the agent the same command comes again and starts from its beginning.
"""

import importlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from agent import bmc_user, ipmi_device
from agent.errors import Refused
from agent.host import Host
from agent.loop import Departure, Outcome, Task
from agent.wire import Progress

COLDPLUG_S = 120.0


class Context(NamedTuple):
    host: Host
    report: Callable[[Progress], None]
    is_cancelled: Callable[[], bool]
    inventory: Callable[[], dict[str, Any]]


def execute(task: Task, context: Context) -> Outcome:
    """Raises AgentError; anything else is a fault of the agent."""
    action = COMMANDS.get(task.name)
    if action is None:
        raise Refused("this agent does not know the command")
    context.host.await_file("coldplug", timeout_s=COLDPLUG_S)
    return action(task.params, context)


def _inspect(_params: Mapping[str, Any], context: Context) -> Outcome:
    return Outcome({"inventory": context.inventory()})


def _setup_bmc(params: Mapping[str, Any], context: Context) -> Outcome:
    path = ipmi_device.find(context.host.root)
    if path is None:
        raise Refused("this machine has no management controller that the kernel can reach")
    username, password = _text(params, "username"), _text(params, "password")
    with ipmi_device.IpmiDevice(path) as ask:
        return Outcome(bmc_user.setup(ask, username=username, password=password))


def _erase(params: Mapping[str, Any], context: Context) -> Outcome:
    from agent import erase  # noqa: PLC0415  (loaded when asked for: the start is short of time)

    method = _choice(params, "method", ("metadata", "shred"))
    wanted = None if params.get("disks") is None else _serials(params, "disks")
    results = erase.run(
        context.host,
        method="shred" if method == "shred" else "metadata",
        wanted=wanted,
        skip=_serials(params, "skip"),
        report=context.report,
        is_cancelled=context.is_cancelled,
    )
    failed = [f"{item['name']}: {item['error']}" for item in results if item["status"] == "failed"]
    return Outcome({"disks": results}, error="; ".join(failed)[:500] or None)


def _write_image(params: Mapping[str, Any], context: Context) -> Outcome:
    imaging = importlib.import_module("agent.imaging")
    return Outcome(imaging.write_image(dict(params), context.report, context.is_cancelled, root=context.host.root))


def _boot_disk(params: Mapping[str, Any], context: Context) -> Outcome:
    """kexec: the kernel is loaded now, so that a failure can still be told, and jumped to after the answer."""
    if _choice(params, "method", ("kexec", "reboot")) == "reboot":
        return Outcome({}, then="reboot")
    imaging = importlib.import_module("agent.imaging")
    loaded = imaging.load_kexec(dict(params), context.report, context.is_cancelled, root=context.host.root)
    return Outcome(loaded, then="kexec")


def _rescue(params: Mapping[str, Any], context: Context) -> Outcome:
    rescue = importlib.import_module("agent.rescue")
    return Outcome(rescue.open_door(context.host, params.get("password_hash")))


def _leave(how: Departure) -> Callable[[Mapping[str, Any], Context], Outcome]:
    return lambda _params, _context: Outcome({}, then=how)


COMMANDS: Mapping[str, Callable[[Mapping[str, Any], Context], Outcome]] = {
    "inspect": _inspect,
    "setup_bmc": _setup_bmc,
    "erase": _erase,
    "write_image": _write_image,
    "boot_disk": _boot_disk,
    "rescue": _rescue,
    "reboot": _leave("reboot"),
    "power_off": _leave("power_off"),
}


def _text(params: Mapping[str, Any], key: str) -> str:
    value = params.get(key)
    if not isinstance(value, str) or not value:
        raise Refused(f"the parameter {key} is missing")
    return value


def _choice(params: Mapping[str, Any], key: str, choices: tuple[str, ...]) -> str:
    value = params.get(key)
    if value not in choices:
        raise Refused(f"the parameter {key} must be one of {', '.join(choices)}")
    return str(value)


def _serials(params: Mapping[str, Any], key: str) -> frozenset[str]:
    value = params.get(key) or []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Refused(f"the parameter {key} must be a list of serial numbers")
    return frozenset(value)
