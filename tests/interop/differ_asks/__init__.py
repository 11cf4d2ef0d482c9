"""The requests, section by section, in the order in which they are played."""

from collections.abc import Iterable

from tests.interop.differ_asks import discovery, fleets, nodes, parts, patches, shelves, verbs, wiring
from tests.interop.differ_worlds import Ask, Force, Settle

Steps = Iterable[Ask | Force | Settle]


def every() -> dict[str, Steps]:
    return {
        "discovery": discovery.steps(),
        "nodes create": nodes.creates(),
        "nodes read": nodes.reads(),
        "nodes lists": fleets.steps(),
        "nodes patch": patches.steps(),
        "patch in states": patches.states(),
        "nodes parts": parts.steps(),
        "ports": wiring.ports(),
        "portgroups": wiring.portgroups(),
        "chassis": shelves.chassis(),
        "volumes": shelves.volumes(),
        "allocations": shelves.allocations(),
        "steps": shelves.steps_of_operators(),
        "inspection rules": shelves.inspection_rules(),
        "nodes delete": nodes.deletes(),
        "lives": verbs.lives(),
        "verbs": verbs.matrix(),
        "states": verbs.others(),
    }
