"""What shall this machine boot? One pure decision, asked by DHCP, by the script and by the plan alike.

Asking is harmless to repeat: firmware asks several times per boot.
"""

import enum
from dataclasses import dataclass

HOLDS_INSTANCE = frozenset(
    {
        "active", "deploying", "wait call-back", "deploy hold", "error", "rebuild",
        "rescuing", "rescue wait", "rescue", "rescue failed", "unrescuing", "unrescue failed",
        "servicing", "service wait", "service hold", "service failed", "adopting", "adopt failed",
    }
)  # fmt: skip
"""States in which the disk belongs to somebody: unless work asked for the agent, the machine boots its disk."""


class Discovery(enum.Enum):
    """What happens to an unknown machine that boots from the network."""

    OFF = "off"
    RECORD = "record"
    ENROLL = "enroll"


class Action(enum.Enum):
    """AGENT: boot the agent's ramdisk. LOCAL: boot the disk. IGNORE: an address at most, no boot file."""

    AGENT = "agent"
    LOCAL = "local"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownNode:
    """What the decision needs of a node. expects_agent: some work waits for the agent of this node right now."""

    label: str
    provision_state: str
    expects_agent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    action: Action
    why: str


def choose(node: KnownNode | None, discovery: Discovery) -> Decision:
    """Unknown machines follow the policy; known ones boot the agent unless their disk belongs to an instance."""
    if node is None:
        if discovery is Discovery.ENROLL:
            return Decision(action=Action.AGENT, why="unknown machine, discovery = enroll")
        return Decision(action=Action.IGNORE, why=f"unknown machine, discovery = {discovery.value}")
    if node.expects_agent:
        return Decision(action=Action.AGENT, why=f"{node.label} is wanted by work in progress")
    if node.provision_state in HOLDS_INSTANCE:
        return Decision(action=Action.LOCAL, why=f"{node.label} is {node.provision_state}: its disk holds an instance")
    return Decision(action=Action.AGENT, why=f"{node.label} is {node.provision_state}: nothing on its disk is in use")
