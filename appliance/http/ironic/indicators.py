"""/v1/nodes/{node}/management/indicators: the lights of a machine. One is called NAME@COMPONENT."""

from flask import Response

from appliance.http.ironic import hardware, management, policy
from appliance.http.ironic.call import Body, Call, Route
from appliance.http.ironic.errors import BadRequest
from appliance.http.ironic.node_access import find
from appliance.http.ironic.policy import Rule
from appliance.http.json_body import nothing, read_object, reply
from appliance.models.node import Node
from appliance.services import nodes
from bmc.api import HasIndicators
from bmc.types import Indicator

SINCE = 63
STATES = frozenset({"on", "off", "blinking"})


def routes() -> list[Route]:
    below = "/nodes/<ident>/management/indicators"
    return [
        Route(method="GET", path=below, view=_list, since=SINCE),
        Route(method="GET", path=f"{below}/<light>", view=_show, since=SINCE),
        Route(method="PUT", path=f"{below}/<light>", view=_set, since=SINCE),
    ]


def _found(call: Call, node: Node, what: str) -> list[Indicator]:
    with call.bmc(node) as bmc:
        if not isinstance(bmc, HasIndicators):
            raise hardware.unsupported(node.driver, what)
        management.refuse_unreachable(node)
        return bmc.indicators()


def _node(call: Call, ident: str, rule: Rule, action: str) -> Node:
    with call.context.database.read() as session:
        node = find(session, call, ident, rule, f"baremetal:node:{action}")
        if action.startswith("set"):
            nodes.refuse_held(session, node, "its indicators are not changed now")
    return node


def _list(call: Call, ident: str) -> Response:
    node = _node(call, ident, policy.PROJECT_READER, "get_indicator_state")
    found = _found(call, node, "get_supported_indicators")
    return reply({"indicators": [_shown(call, ident, light) for light in found]})


def _shown(call: Call, ident: str, light: Indicator) -> Body:
    name = f"{light.name}@{light.component}"
    return {
        "name": name, "component": light.component, "readonly": False, "states": list(light.states),
        "links": call.links("nodes", ident, "management", "indicators", name),
    }  # fmt: skip


def _show(call: Call, ident: str, light: str) -> Response:
    node = _node(call, ident, policy.PROJECT_READER, "get_indicator_state")
    found = _found(call, node, "get_indicator_state")
    name, component = _parts(light)
    for one in found:
        if (one.name, one.component) == (name, component):
            return reply({"state": one.state})
    raise BadRequest(f"Unknown indicator {name[:64]} for component {component[:64]} of node {node.uuid}")


def _set(call: Call, ident: str, light: str) -> Response:
    state = {**call.arguments, **read_object()}.get("state")
    node = _node(call, ident, policy.OWNER_MEMBER, "set_indicator_state")
    with call.bmc(node) as bmc:
        if not isinstance(bmc, HasIndicators):
            raise hardware.unsupported(node.driver, "set_indicator_state")
        management.refuse_unreachable(node)
        name, component = _parts(light)
        wanted = state.lower() if isinstance(state, str) else ""
        if wanted not in STATES:
            raise BadRequest(f"Invalid indicator state {str(state)[:32]}. Allowed are: {', '.join(sorted(STATES))}")
        bmc.set_indicator(component, name, wanted)
    management.note(call, node, f"indicator {name[:64]}@{component[:64]} {wanted}")
    return nothing()


def _parts(light: str) -> tuple[str, str]:
    name, sign, component = light.partition("@")
    if not sign:
        raise BadRequest(f'Malformed indicator name "{light[:64]}"')
    return name, component
