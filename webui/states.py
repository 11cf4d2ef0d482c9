"""Provision states as the console shows them: a few groups, each with a word, a sign and a colour. Pure.

The exact state is always shown too; nothing is said by colour alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from appliance.domain.lifecycle import FAILED, HELD, TRANSIENT, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """key: in URLs, and the CSS class. hint: what a newcomer should know of all of them; alone: of one of them."""

    key: str
    word: str
    sign: str
    hint: str
    alone: str


GROUPS: tuple[Group, ...] = (
    Group(
        key="failed", word="Failed", sign="✕",
        hint="the work stopped; each node says why and what to do next",
        alone="Its work stopped.",
    ),
    Group(
        key="hold", word="On hold", sign="‖",
        hint="the work is held where it is",
        alone="Its work is held where it is.",
    ),
    Group(
        key="busy", word="In progress", sign="↻",
        hint="the appliance works on them, or waits for them",
        alone="The appliance works on it.",
    ),
    Group(
        key="new", word="New", sign="○",
        hint="enrolled; their BMC was not tried yet",
        alone="It is enrolled; its BMC was not tried yet.",
    ),
    Group(
        key="managed", word="Manageable", sign="◇",
        hint="under control, offered to nobody",
        alone="It is under control, offered to nobody.",
    ),
    Group(
        key="free", word="Available", sign="◆",
        hint="clean and ready to be deployed",
        alone="It is clean and ready to be deployed.",
    ),
    Group(
        key="active", word="Active", sign="●",
        hint="they run an instance",
        alone="It runs its instance.",
    ),
)  # fmt: skip
BY_KEY: Mapping[str, Group] = {group.key: group for group in GROUPS}

_RESTING: Mapping[State, str] = {
    State.ENROLL: "new",
    State.MANAGEABLE: "managed",
    State.AVAILABLE: "free",
    State.ACTIVE: "active",
    State.RESCUE: "active",
    State.ERROR: "failed",
}


def group(state: str) -> Group:
    """The group of a provision state."""
    known = State(state)
    if known in TRANSIENT:
        return BY_KEY["busy"]
    if known in FAILED:
        return BY_KEY["failed"]
    return BY_KEY["hold" if known in HELD else _RESTING[known]]


def members(key: str) -> list[str]:
    """The provision states of a group; empty when there is no such group."""
    return [state.value for state in State if group(state.value).key == key]


def count_by_group(counts: Mapping[str, int]) -> dict[str, int]:
    """Nodes by group, groups without nodes included."""
    found = dict.fromkeys(BY_KEY, 0)
    for state, number in counts.items():
        found[group(state).key] += number
    return found
