"""The flows as they go when nothing is amiss: where each begins, every step it takes, and how it ends."""

from dataclasses import dataclass, field
from typing import Any

from appliance.domain.lifecycle import Verb
from tests.appliance.flows.harness import ADDRESS, Rig

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
    _scenario("adopt", Verb.ADOPT, "manageable, active, adopt failed", "read_power", "now_active", machine=_RUNNING),
)
