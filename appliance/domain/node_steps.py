"""The steps that an operator may name in a clean, a deploy or a service: which there are, where, and what they take.

Pure. Anything that is not listed is refused before a machine is touched. A step is written as Ironic's clients write
it: {"interface", "step", "args", "priority" | "order"}; of the reserved ones the interface is ignored.
"""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from appliance.domain.errors import Invalid

MOST_STEPS = 256
LONGEST_PAUSE_S = 86400
WRITE_IMAGE_PRIORITY = 80
LEAVE_AGENT_PRIORITY = 40


class Phase(enum.StrEnum):
    """The piece of work that steps belong to."""

    CLEAN = "clean"
    DEPLOY = "deploy"
    SERVICE = "service"


class By(enum.StrEnum):
    """Who carries a step out. CORE: the place in a deploy where the image is written."""

    AGENT = "agent"
    POWER = "power"
    PAUSE = "pause"
    HOLD = "hold"
    CORE = "core"
    NOBODY = "nobody"
    """Arguments of what is only acted out are looked at and not kept: there may be secrets among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A step that exists. args: the reader of each argument. command, params: what the agent is asked."""

    by: By
    phases: frozenset[Phase]
    says: str
    args: Mapping[str, Callable[[object], Any]] = field(default_factory=dict)
    command: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)


def _pause_s(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LONGEST_PAUSE_S:
        raise Invalid(f"seconds is a whole number from 0 to {LONGEST_PAUSE_S}")
    return value


def _anything(value: object) -> Any:
    return value


ALL = frozenset(Phase)
BEFORE_IMAGE = frozenset({Phase.CLEAN, Phase.DEPLOY})
IN_DEPLOY = frozenset({Phase.DEPLOY})

RESERVED: Mapping[str, Known] = {
    "hold": Known(by=By.HOLD, phases=ALL, says="Pause until the verb unhold is asked."),
    "wait": Known(
        by=By.PAUSE, phases=ALL, says="Pause until the agent's next sign of life, or for the seconds given.",
        args={"seconds": _pause_s},
    ),
    "power_on": Known(by=By.POWER, phases=ALL, says="Switch the machine on."),
    "power_off": Known(by=By.POWER, phases=ALL, says="Switch the machine off."),
    "reboot": Known(by=By.POWER, phases=ALL, says="Switch the machine off and on."),
}  # fmt: skip

REAL: Mapping[tuple[str, str], Known] = {
    ("deploy", "erase_devices_metadata"): Known(
        by=By.AGENT, phases=BEFORE_IMAGE, says="Make the disks' partition tables and signatures worthless.",
        command="erase", params={"method": "metadata", "disks": None, "skip": []},
    ),
    ("deploy", "erase_devices"): Known(
        by=By.AGENT, phases=BEFORE_IMAGE, says="Erase every byte, by the disk's own command where it has one.",
        command="erase", params={"method": "shred", "disks": None, "skip": []},
    ),
    ("deploy", "write_image"): Known(by=By.CORE, phases=IN_DEPLOY, says="Write the image and the config-drive."),
}  # fmt: skip


_FAKE_ARGS = {
    ("raid", "create_configuration"): (
        "create_root_volume",
        "create_nonroot_volumes",
        "delete_existing",
        "raid_config",
    ),
    ("raid", "apply_configuration"): ("raid_config", "delete_existing", "create_root_volume", "create_nonroot_volumes"),
    ("raid", "delete_configuration"): (),
    ("bios", "apply_configuration"): ("settings",),
    ("bios", "factory_reset"): (),
    ("firmware", "update"): ("settings",),
    ("deploy", "deploy"): (),
    ("deploy", "erase_devices"): (),
    ("deploy", "erase_devices_metadata"): (),
}
_DISK_STEPS = frozenset({"erase_devices", "erase_devices_metadata"})

FAKE: Mapping[tuple[str, str], Known] = {
    key: Known(
        phases=IN_DEPLOY if key == ("deploy", "deploy") else BEFORE_IMAGE if key[1] in _DISK_STEPS else ALL,
        args=dict.fromkeys(args, _anything),
        by=By.NOBODY,
        says="Acted out; it takes as long as its interface is told to.",
    )
    for key, args in _FAKE_ARGS.items()
}  # fmt: skip


def known_for(*, is_fake: bool) -> Mapping[tuple[str, str], Known]:
    """The steps of a kind of hardware, besides the reserved ones."""
    return FAKE if is_fake else REAL


def find(interface: str, step: str, *, is_fake: bool) -> Known | None:
    """The reserved names count whatever the interface."""
    return RESERVED.get(step) or known_for(is_fake=is_fake).get((interface, step))


def read(value: object, phase: Phase, *, is_fake: bool, has_ramdisk: bool = True) -> list[dict[str, Any]]:
    """The steps in the order in which they are run: [{interface, step, args}, …]. Raises Invalid with the first fault.

    Of a deploy the priorities tell the order, and the place of the image among them; otherwise the list's own order
    does, or `order` where it is given.
    """
    name = f"{phase}_steps"
    if not isinstance(value, list) or not value:
        raise Invalid(f"{name} is a list of steps, and has at least one")
    if len(value) > MOST_STEPS:
        raise Invalid(f"{name} has more than {MOST_STEPS} steps")
    read_ones = [_one(item, phase, is_fake=is_fake, has_ramdisk=has_ramdisk) for item in value]
    if phase is Phase.DEPLOY:
        return _by_priority(read_ones, is_fake=is_fake)
    ordered = sorted(read_ones, key=lambda item: item["order"]) if _all_ordered(read_ones) else read_ones
    return [_plain(item) for item in ordered]


def _all_ordered(items: list[dict[str, Any]]) -> bool:
    return all(item["order"] is not None for item in items)


def _plain(item: dict[str, Any]) -> dict[str, Any]:
    return {key: item[key] for key in ("interface", "step", "args")}


_PARTS = frozenset({"interface", "step", "args", "priority", "order", "execute_on_child_nodes"})


def _one(item: object, phase: Phase, *, is_fake: bool, has_ramdisk: bool) -> dict[str, Any]:
    if not isinstance(item, dict) or not isinstance(item.get("step"), str):
        raise Invalid("a step is an object with interface, step and args")
    if unknown := sorted(set(item) - _PARTS):
        raise Invalid(f"a step has no field {str(unknown[0])[:40]!r}")
    if item.get("execute_on_child_nodes"):
        raise Invalid("steps are not run on child nodes by this appliance")
    interface, step = item.get("interface") or "", item["step"]
    known = find(interface, step, is_fake=is_fake) if isinstance(interface, str) else None
    if known is None or phase not in known.phases:
        raise Invalid(
            f"node does not support this {phase} step: {_called(interface, step)}",
            next_step=f"steps there are: {', '.join(_names(phase, is_fake=is_fake))}",
        )
    args = _args(item.get("args"), known, _called(interface, step))
    _refuse_without_ramdisk(known, args, _called(interface, step), has_ramdisk=has_ramdisk)
    return {
        "interface": interface or "power", "step": step, "args": {} if known.by is By.NOBODY else args,
        "priority": _number(item, "priority"), "order": _number(item, "order"),
    }  # fmt: skip


def _called(interface: object, step: object) -> str:
    return f"{str(interface)[:40]}.{str(step)[:60]}"


def _names(phase: Phase, *, is_fake: bool) -> list[str]:
    named = [f"{key[0]}.{key[1]}" for key, known in known_for(is_fake=is_fake).items() if phase in known.phases]
    return [*named, *RESERVED]


def _args(value: object, known: Known, name: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Invalid(f"args of {name} is an object")
    if unknown := sorted(set(value) - set(known.args)):
        raise Invalid(f"{name} has no argument {str(unknown[0])[:40]!r}")
    return {key: known.args[key](given) for key, given in value.items()}


def _refuse_without_ramdisk(known: Known, args: Mapping[str, Any], name: str, *, has_ramdisk: bool) -> None:
    if has_ramdisk:
        return
    if known.by in (By.AGENT, By.CORE):
        raise Invalid(f"{name} needs the ramdisk, which disable_ramdisk leaves out")
    if known.by is By.PAUSE and "seconds" not in args:
        raise Invalid(f"{name} without seconds waits for the ramdisk, which disable_ramdisk leaves out")


def _number(item: Mapping[str, Any], key: str) -> int | None:
    value = item.get(key)
    if value is None:
        return None
    if isinstance(value, str) and value.isdecimal() and len(value) <= 6:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 999_999:
        raise Invalid(f"{key} of a step is a whole number from 0 up")
    return value


_CORE = {"interface": "deploy", "step": "write_image", "args": {}}


def _by_priority(items: list[dict[str, Any]], *, is_fake: bool) -> list[dict[str, Any]]:
    """Higher priorities first, 0 not at all; the image is written at its own place."""
    wanted = [item for item in items if item["priority"] != 0]
    if any(item["priority"] is None for item in wanted):
        raise Invalid("each deploy step has a priority")
    ordered = sorted(wanted, key=lambda item: -int(item["priority"]))
    if is_fake:
        return [_plain(item) for item in ordered]
    for item in ordered:
        _refuse_misplaced(item)
    before = [_plain(item) for item in ordered if item["priority"] > WRITE_IMAGE_PRIORITY]
    after = [_plain(item) for item in ordered if item["priority"] <= WRITE_IMAGE_PRIORITY and not _is_core(item)]
    return [*before, dict(_CORE), *after]


def _is_core(item: Mapping[str, Any]) -> bool:
    return (item["interface"], item["step"]) == ("deploy", "write_image")


def _refuse_misplaced(item: Mapping[str, Any]) -> None:
    name, priority = _called(item["interface"], item["step"]), item["priority"]
    if _is_core(item):
        if priority != WRITE_IMAGE_PRIORITY:
            raise Invalid(f"{name} keeps its priority, which is {WRITE_IMAGE_PRIORITY}")
    elif priority <= LEAVE_AGENT_PRIORITY:
        raise Invalid(f"{name} has priority {priority}: from {LEAVE_AGENT_PRIORITY} down the ramdisk is gone")
    elif priority <= WRITE_IMAGE_PRIORITY and item["step"] in _DISK_STEPS:
        raise Invalid(f"{name} has priority {priority}: it would erase the image, which is written at "
                      f"{WRITE_IMAGE_PRIORITY}", next_step="give it a higher priority")  # fmt: skip
