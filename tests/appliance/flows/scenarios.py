"""The flows as they go when nothing is amiss: where each begins, every step it takes, and how it ends."""

from dataclasses import dataclass, field
from typing import Any

from appliance.domain.lifecycle import Verb
from tests.appliance.flows.harness import ADDRESS, Rig
from tests.fakes.mirror import SOURCE

_AGENT_BOOT = (
    "want_agent",
    "expect_agent",
    "agent_power_off",
    "agent_await_off",
    "agent_set_boot_device",
    "agent_power_on",
    "agent_await_on",
    "await_agent",
    "agent_is_up",
)
_DISK_BOOT = (
    "fall_back",
    "disk_power_off",
    "disk_await_off",
    "disk_set_boot_device",
    "disk_power_on",
    "disk_await_on",
    "await_home",
)
_RUNNING = {
    "is_on": True,
    "runs": "system",
    "has_called": True,
    "disk": "debian",
    "device": "disk",
    "is_persistent": True,
}


@dataclass(frozen=True)
class Scenario:
    """path: all steps in order. fresh: those that no other scenario walks in this way, worth breaking here."""

    name: str
    verb: Verb
    start: str
    end: str
    failed: str
    path: tuple[str, ...]
    fresh: tuple[str, ...]
    spec: dict[str, Any] = field(default_factory=dict)
    node: dict[str, Any] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)

    def set_up(self, rig: Rig) -> None:
        rig.world.change(ADDRESS, **self.machine)
        rig.add_node(self.start, boot_mode="uefi", **self.node)
        rig.ask(self.verb, **self.spec)


def _scenario(
    name: str, verb: Verb, states: str, *path: str, fresh: tuple[str, ...] | None = None, **more: Any
) -> Scenario:
    start, end, failed = states.split(", ")
    return Scenario(name, verb, start, end, failed, path, path if fresh is None else fresh, **more)


def _step(step: str, interface: str = "power", **args: Any) -> dict[str, Any]:
    return {"interface": interface, "step": step, "args": args}


_COLD_DISK = _DISK_BOOT[1:-1]
_ERASE = _step("erase_devices", "deploy")
_DEPLOY = ("write_image", "image_written", "set_boot_device", "leave_agent", "agent_left")
_INSTANCE = {"instance": {"image": "debian"}, "instance_address": "10.0.0.50", "call_home_hash": "h"}

SCENARIOS = (
    _scenario("verify", Verb.MANAGE, "enroll, manageable, enroll", "read_bmc", "now_manageable"),
    _scenario(
        "inspect",
        Verb.INSPECT,
        "manageable, manageable, inspect failed",
        *_AGENT_BOOT,
        "ask_inventory",
        "store_inventory",
        fresh=("ask_inventory", "store_inventory"),
        machine=_RUNNING,
    ),
    _scenario("clean", Verb.PROVIDE, "manageable, available, clean failed", *_AGENT_BOOT, "erase", "erased"),
    _scenario(
        "clean by hand",
        Verb.CLEAN,
        "manageable, manageable, clean failed",
        *_AGENT_BOOT,
        "erase",
        "erased",
        fresh=("erased",),
    ),
    _scenario(
        "deploy",
        Verb.DEPLOY,
        "available, active, deploy failed",
        *_AGENT_BOOT,
        *_DEPLOY,
        "is_home",
        fresh=(*_DEPLOY, "is_home"),
    ),
    _scenario(
        "deploy by fall-back",
        Verb.DEPLOY,
        "available, active, deploy failed",
        *_AGENT_BOOT,
        *_DEPLOY,
        "agent_stayed",
        *_DISK_BOOT,
        "is_home",
        fresh=("agent_stayed", *_DISK_BOOT),
        machine={"kexec_is_lost": True},
    ),
    _scenario(
        "rebuild",
        Verb.REBUILD,
        "active, active, deploy failed",
        *_AGENT_BOOT,
        *_DEPLOY,
        "is_home",
        fresh=(),
        machine=_RUNNING,
        node=_INSTANCE,
    ),
    _scenario(
        "undeploy",
        Verb.UNDEPLOY,
        "active, available, clean failed",
        "forget_instance",
        *_AGENT_BOOT,
        "instance_gone",
        "erase",
        "erased",
        fresh=("forget_instance", "instance_gone", "erase"),
        machine=_RUNNING,
        node=_INSTANCE | {"instance_secret": b"sealed", "power_state": "power on"},
    ),
    _scenario(
        "clean by steps",
        Verb.CLEAN,
        "manageable, manageable, clean failed",
        *_AGENT_BOOT,
        "take_step",
        "ask_step",
        "step_answered",
        "take_step",
        "cleaned",
        fresh=("take_step", "ask_step", "step_answered", "cleaned"),
        spec={"plan": [_ERASE]},
    ),
    _scenario(
        "clean without ramdisk",
        Verb.CLEAN,
        "manageable, manageable, clean failed",
        "want_agent",
        "take_step",
        "step_power_off",
        "step_await_off",
        "step_power_on",
        "step_await_on",
        "take_step",
        "step_pause",
        "take_step",
        "cleaned",
        fresh=("step_power_off", "step_await_off", "step_power_on", "step_await_on", "step_pause"),
        spec={"plan": [_step("reboot"), _step("wait", seconds=5)], "disable_ramdisk": True},
    ),
    _scenario(
        "provide without cleaning",
        Verb.PROVIDE,
        "manageable, available, clean failed",
        "want_agent",
        "not_cleaned",
        fresh=("want_agent", "not_cleaned"),
        node={"has_automated_clean": False},
        machine={"disk": "empty"},
    ),
    _scenario(
        "deploy of a system that does not call",
        Verb.DEPLOY,
        "available, active, deploy failed",
        *_AGENT_BOOT,
        "take_step",
        "ask_step",
        "step_answered",
        "take_step",
        "image_turn",
        "fetch_config_drive",
        "write_image",
        "image_written",
        "take_step",
        "step_pause",
        "take_step",
        "steps_done",
        "fall_back",
        *_COLD_DISK,
        "is_started",
        fresh=("image_turn", "fetch_config_drive", "write_image", "image_written", "steps_done", "is_started"),
        spec={
            "plan": [_ERASE, _step("write_image", "deploy"), _step("wait", seconds=5)],
            "drive": "url",
            "call_home": False,
        },
    ),
    _scenario(
        "deploy of an image that lies elsewhere",
        Verb.DEPLOY,
        "available, active, deploy failed",
        "want_agent",
        "fetch_checksum",
        "find_image",
        "fetch_image",
        "find_image",
        *_AGENT_BOOT,
        *_DEPLOY,
        "is_home",
        fresh=("fetch_checksum", "find_image", "fetch_image"),
        spec={"source": SOURCE.open_part()},
    ),
    _scenario(
        "deploy of a system that need not call",
        Verb.DEPLOY,
        "available, active, deploy failed",
        *_AGENT_BOOT,
        "write_image",
        "image_written",
        *_DISK_BOOT,
        "is_started",
        fresh=("await_home", "is_started"),
        spec={"call_home": "hoped"},
        machine={"system_is_mute": True},
    ),
    _scenario(
        "unrescue of a machine that keeps its power",
        Verb.UNRESCUE,
        "rescue, active, unrescue failed",
        "forget_rescue",
        "disk_power_off",
        "disk_reset",
        "disk_await_on",
        "back_to_work",
        fresh=("disk_reset",),
        machine=_RUNNING | {"runs": "agent"},
        node=_INSTANCE | {"keeps_power": True},
    ),
    _scenario(
        "a reboot of a machine that keeps its power",
        Verb.CLEAN,
        "manageable, manageable, clean failed",
        "want_agent",
        "take_step",
        "step_power_off",
        "step_reset",
        "step_await_on",
        "take_step",
        "cleaned",
        fresh=("step_reset",),
        machine=_RUNNING,
        node={"keeps_power": True},
        spec={"plan": [_step("reboot")], "disable_ramdisk": True},
    ),
    _scenario(
        "undeploy without cleaning",
        Verb.UNDEPLOY,
        "active, available, error",
        "forget_instance",
        "want_agent",
        "stop_instance",
        "await_stop",
        "not_cleaned",
        fresh=("stop_instance", "await_stop", "not_cleaned"),
        machine=_RUNNING | {"disk": "empty"},
        node=_INSTANCE | {"has_automated_clean": False},
    ),
    _scenario(
        "rescue",
        Verb.RESCUE,
        "active, rescue, rescue failed",
        *_AGENT_BOOT,
        "open_door",
        "door_is_open",
        fresh=("open_door", "door_is_open"),
        machine=_RUNNING,
        node=_INSTANCE,
    ),
    _scenario(
        "unrescue",
        Verb.UNRESCUE,
        "rescue, active, unrescue failed",
        "forget_rescue",
        *_COLD_DISK,
        "back_to_work",
        machine=_RUNNING | {"runs": "agent"},
        node=_INSTANCE | {"agent_session_hash": "session"},
    ),
    _scenario(
        "service",
        Verb.SERVICE,
        "active, active, service failed",
        *_AGENT_BOOT,
        "take_step",
        "step_pause",
        "take_step",
        "step_power_on",
        "step_await_on",
        "take_step",
        "steps_done",
        *_COLD_DISK,
        "back_to_work",
        fresh=("take_step", "step_pause", "steps_done", "back_to_work"),
        machine=_RUNNING,
        node=_INSTANCE,
        spec={"plan": [_step("wait", seconds=5), _step("power_on")]},
    ),
    _scenario("adopt", Verb.ADOPT, "manageable, active, adopt failed", "read_power", "now_active", machine=_RUNNING),
)
