"""/v1/nodes/{node}/vmedia: images in the virtual drives of a machine's BMC, which itself fetches them by their URL."""

from flask import Response

from appliance.domain import media
from appliance.domain.errors import Invalid
from appliance.http.ironic import hardware, management, policy
from appliance.http.ironic.call import Call, Route
from appliance.http.ironic.errors import BadRequest
from appliance.http.ironic.node_access import find
from appliance.http.ironic.policy import Rule
from appliance.http.json_body import nothing, read_object, reply
from appliance.models.node import Node
from appliance.services import nodes
from bmc.api import HasVirtualMedia
from bmc.types import MediaKind

SINCE, READ_SINCE = 89, 93
KINDS = tuple(sorted(kind.value for kind in MediaKind))
_KNOWN = frozenset({"device_type", "image_url", "image_download_source"})
_SOURCES = ("http", "local", "swift")


def routes() -> list[Route]:
    path = "/nodes/<ident>/vmedia"
    return [
        Route(method="GET", path=path, view=_list, since=READ_SINCE),
        Route(method="POST", path=path, view=_attach, since=SINCE),
        Route(method="DELETE", path=path, view=_detach, since=SINCE),
    ]


def _node(call: Call, ident: str, rule: Rule, action: str) -> Node:
    with call.context.database.read() as session:
        node = find(session, call, ident, rule, f"baremetal:node:vmedia:{action}")
        if action != "get":
            nodes.refuse_held(session, node, "its virtual media are not changed now")
    return node


def _list(call: Call, ident: str) -> Response:
    node = _node(call, ident, policy.PROJECT_READER, "get")
    with call.bmc(node) as bmc:
        if not isinstance(bmc, HasVirtualMedia):
            raise hardware.unsupported(node.driver, "get_virtual_media")
        management.refuse_unreachable(node)
        slots = bmc.media()
    shown = [
        {"media_types": list(one.types), "inserted": one.is_inserted, "image": media.without_query(one.image)}
        for one in slots
    ]
    return reply(shown)


def _attach(call: Call, ident: str) -> Response:
    body = read_object()
    node = _node(call, ident, policy.PROJECT_MEMBER, "attach")
    kind, url, source = body.get("device_type"), body.get("image_url"), body.get("image_download_source")
    if set(body) - _KNOWN or kind not in KINDS or not isinstance(url, str) or source not in (None, *_SOURCES):
        raise BadRequest(
            f"Schema error for vmedia: it has device_type, one of {', '.join(KINDS)}, image_url, and "
            f"image_download_source, one of {', '.join(_SOURCES)}"
        )
    try:
        media.check(url, trusted=call.context.config.images.trusted_networks)
    except Invalid as fault:
        raise BadRequest(fault.message) from fault
    with call.bmc(node) as bmc:
        if not isinstance(bmc, HasVirtualMedia):
            raise hardware.unsupported(node.driver, "attach_virtual_media")
        management.refuse_unreachable(node)
        if source not in (None, "http"):
            raise BadRequest(
                f"image_download_source {source} is not supported: the BMC fetches the image itself (http)"
            )
        bmc.insert_media(MediaKind(kind), url)
    management.note(call, node, f"virtual media: {kind} attached")
    return nothing()


def _detach(call: Call, ident: str) -> Response:
    node = _node(call, ident, policy.PROJECT_MEMBER, "detach")
    wanted = [one for one in call.arguments.get("device_types", "").split(",") if one]
    invalid = [one for one in wanted if one not in KINDS]
    if invalid:
        raise BadRequest(f"Invalid device type(s) {', '.join(invalid)[:128]} (valid are {', '.join(KINDS)})")
    with call.bmc(node) as bmc:
        if not isinstance(bmc, HasVirtualMedia):
            raise hardware.unsupported(node.driver, "detach_virtual_media")
        management.refuse_unreachable(node)
        bmc.eject_media([MediaKind(one) for one in wanted] or None)
    management.note(call, node, f"virtual media: {', '.join(wanted) or 'all'} detached")
    return nothing()
