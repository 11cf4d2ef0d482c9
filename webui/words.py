"""Times, amounts and the engine's names in words for people. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

NOT_YET = "-"


def stamp(at: datetime) -> str:
    """Machine-readable, for <time datetime>."""
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def moment(at: datetime) -> str:
    """For people; UTC, as the page's foot says."""
    return f"{at:%Y-%m-%d %H:%M:%S}"


def took(seconds: float) -> str:
    """`12 ms`, `3.4 s`, `48 s`, `2 min 05 s`, `1 h 05 min`."""
    if seconds < 0.9995:
        return f"{max(0.0, seconds) * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def mark(seconds: float) -> str:
    """A moment on a scale: `0`, `0.5 s`, `30 s`, `2 min`, `2:30`."""
    if seconds < 60:
        return f"{seconds:g} s" if seconds else "0"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}" if rest else f"{minutes} min"


def amount(number: float | None) -> str:
    """Bytes in decimal units, as disks are sold: `352 MB`, `8.59 GB`."""
    if number is None:
        return NOT_YET
    size = float(number)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.3g} {unit}"
        size /= 1000
    raise AssertionError


def memory(mib: object) -> str:
    """Memory in binary units, as it is built."""
    if not isinstance(mib, int):
        return NOT_YET
    return f"{mib / 1024:.3g} GiB" if mib >= 1024 else f"{mib} MiB"


COMMANDS: Mapping[str, str] = {
    "inspect": "takes stock of the hardware",
    "erase": "erases the disks",
    "write_image": "writes the image",
    "boot_disk": "starts the installed system",
    "rescue": "lets somebody in",
    "setup_bmc": "makes our account on the BMC",
    "reboot": "reboots",
    "power_off": "powers off",
}
"""What the agent does with each command."""


_ASKS = {"ask_inventory": "inspect", "leave_agent": "boot_disk", "open_door": "rescue", "ask_step": "erase"}
"""Steps that are called otherwise than the command that they wait for."""


def awaited(wait_for: str, step: str) -> str:
    """What a piece of work waits for, as the object of `waits for`."""
    if wait_for.startswith("agent.command:"):
        command = _ASKS.get(step, step)
        doing = COMMANDS.get(command)
        return f"the agent, which {doing}" if doing else "the agent to finish its work"
    return {
        "agent.alive": "the machine to boot from the network and its agent to call",
        "call-home": "the installed system to boot and call home",
        "unhold": "somebody to say unhold",
    }.get(wait_for, wait_for)


def goes_on(wait_for: str, step: str) -> str:
    """The same from the machine's side, in a few words for a list."""
    if wait_for.startswith("agent.command:"):
        command = _ASKS.get(step, step)
        return f"agent {COMMANDS.get(command, 'works')}"
    known = {"agent.alive": "boots from the network", "call-home": "installed system boots", "unhold": "holds"}
    return known.get(wait_for, f"waits for {wait_for}")


def step(name: str) -> str:
    """A step of the engine in words: `agent_power_off` is `power off`."""
    if name in STEPS:
        return STEPS[name]
    return name.replace("_", " ") or "starts"


STEPS: Mapping[str, str] = {
    "read_bmc": "log in to the BMC",
    "read_power": "read the power state",
    "look_at_power": "read the power state",
    "agent_power_off": "power off",
    "agent_await_off": "power off",
    "agent_set_boot_device": "aim at the network",
    "agent_power_on": "power on",
    "agent_await_on": "power on",
    "disk_power_off": "power off",
    "disk_await_off": "power off",
    "disk_set_boot_device": "aim at the disk",
    "set_boot_device": "aim at the disk",
    "disk_power_on": "power on",
    "disk_await_on": "power on",
    "want_agent": "look whether the agent runs",
    "await_agent": "wait for the agent",
    "agent_is_silent": "wait for the agent",
    "ask_inventory": "take stock of the hardware",
    "store_inventory": "take stock of the hardware",
    "erase": "erase the disks",
    "erased": "erase the disks",
    "write_image": "write the image",
    "image_written": "write the image",
    "watch_agent": "watch the agent",
    "leave_agent": "start the installed system",
    "agent_left": "start the installed system",
    "await_home": "wait for the installed system",
    "is_home": "the installed system calls home",
    "is_lost": "wait for the installed system",
    "is_started": "start the installed system",
    "fetch_config_drive": "fetch the config-drive",
    "take_step": "look for the next step",
    "ask_step": "run a step on the agent",
    "step_answered": "run a step on the agent",
    "step_pause": "pause",
    "step_power_off": "power off",
    "step_await_off": "power off",
    "step_power_on": "power on",
    "step_await_on": "power on",
    "released": "go on after the hold",
    "open_door": "open the rescue system",
    "door_is_open": "open the rescue system",
    "forget_rescue": "end the rescue",
    "back_to_work": "back to the instance",
    "stop_instance": "power off",
    "await_stop": "power off",
    "not_cleaned": "leave the disks as they are",
    "forget_instance": "take the instance's secrets away",
    "instance_gone": "take the instance away",
}
_WORK = {
    "verify": "Manage",
    "inspect": "Inspect",
    "clean": "Clean",
    "deploy": "Deploy",
    "undeploy": "Undeploy",
    "adopt": "Adopt",
    "rescue": "Rescue",
    "unrescue": "Unrescue",
    "service": "Service",
}
WORK: Mapping[str, str] = _WORK | {f"fake-{kind}": word for kind, word in _WORK.items()}
"""Kinds of work by the word of the button that starts them; of hardware that is not there, by the same."""


def share(progress: Mapping[str, Any] | None) -> float | None:
    """0 to 100, or None when the whole is not known."""
    if not progress:
        return None
    done, total = progress.get("done"), progress.get("total")
    if not isinstance(done, int | float) or not isinstance(total, int | float) or total <= 0:
        return None
    return min(100.0, 100.0 * done / total)


def how_far(progress: Mapping[str, Any]) -> str:
    """`150 MB of 353 MB`, or a count in its own unit."""
    done, total, unit = progress.get("done") or 0, progress.get("total") or 0, str(progress.get("unit") or "")
    if unit in ("", "B", "bytes"):
        return f"{amount(done)} of {amount(total)}" if total else amount(done)
    return f"{done} of {total} {unit}" if total else f"{done} {unit}"
