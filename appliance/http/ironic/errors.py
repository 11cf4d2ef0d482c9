"""How this face says no: a JSON text inside a JSON object, as the clients of Bare Metal v1 expect.

`error_message` is the text of an object with faultcode (`Client`, `Server`), faultstring and debuginfo. What the router
itself refuses (no such path, a method that is not there, a version out of range) has code, title and description there.
"""

import socket
from contextlib import suppress
from http import HTTPStatus

import orjson
from flask import Response, g, request
from werkzeug.exceptions import HTTPException

from appliance.domain.errors import IllegalMove, NodeLocked, RackwrightError
from appliance.http.errors import Refusal
from appliance.http.ironic import versions
from appliance.http.ironic.versions import NoSuchVersion, NotAcceptable
from appliance.http.json_body import reply
from appliance.services.allocations import InUse
from appliance.services.lifecycle import InMaintenance
from bmc.errors import Unsupported


class BadRequest(RackwrightError):
    """The request cannot be carried out as it is."""

    code = "invalid"
    blame = "caller"


class PreconditionFailed(RackwrightError):
    """The thing was changed meanwhile."""

    code = "precondition-failed"
    blame = "caller"


HOST = socket.gethostname()[:64]
"""How clients call this appliance where they expect the name of a conductor and no other host does the work."""

_STATUS: dict[type[Exception], int] = {
    NotAcceptable: 406,
    BadRequest: 400,
    PreconditionFailed: 412,
    # Our own face says 409 of these: the node's state forbids the verb. The clients of this one wait for 400.
    IllegalMove: 400,
    InMaintenance: 400,
    Unsupported: 400,
    InUse: 409,
}


_EMPTY = (202, 204)


def shape(refusal: Refusal) -> Response:
    """The refusal in this face's words and status; what follows goes to every answer of this face."""
    if "minor" not in g:  # refused before a view was found
        with suppress(NoSuchVersion):
            g.minor = versions.negotiate(request.headers)
    status = next((_STATUS[kind] for kind in type(refusal.cause).__mro__ if kind in _STATUS), refusal.status)
    if status == 401:
        response = _unauthenticated()
    else:
        response = reply({"error_message": orjson.dumps(_inner(refusal, status)).decode()}, status)
    sign(response)
    return response


def _inner(refusal: Refusal, status: int) -> dict[str, object]:
    if isinstance(refusal.cause, HTTPException | NoSuchVersion):
        return {"code": status, "title": HTTPStatus(status).phrase, "description": refusal.message}
    message, why = refusal.message, refusal.why
    if isinstance(refusal.cause, NodeLocked) and refusal.cause.node:
        message, why = locked(refusal.cause.node, refusal.cause.host), message
    text = f"{message} ({why})" if why else message
    return {"faultcode": "Client" if status < 500 else "Server", "faultstring": text, "debuginfo": None}


def locked(node: str, host: str | None) -> str:
    """What clients know a node by that somebody works on, and try again for. host: who does; None: one of us will."""
    return f"Node {node} is locked by host {host or HOST}, please retry after the current operation is completed."


def _unauthenticated() -> Response:
    text = "The request you have made requires authentication."
    response = reply({"error": {"code": 401, "title": "Unauthorized", "message": text}}, 401)
    response.headers["WWW-Authenticate"] = f'Keystone uri="{g.get("origin", "")}/identity"'
    return response


def sign(response: Response) -> None:
    """What every answer below `/baremetal` carries: the range of versions, the one spoken, the request's id."""
    headers = response.headers
    if response.status_code in _EMPTY and not response.get_data():
        headers.pop("Content-Type", None)
    request_id = g.get("request_id", "")
    # Added, not set: nobody else gives these, and to look for each among the others costs more than to make the answer.
    headers.extend(
        [*versions.RANGE.items(), ("Openstack-Request-Id", request_id), ("X-Openstack-Request-Id", request_id)]
    )
    minor = g.get("minor")
    if minor is not None:
        headers.add(versions.HEADER, f"1.{minor}")
    if "Vary" not in headers:
        headers["Vary"] = "X-OpenStack-Ironic-API-Version"


def not_found(what: str, ident: str) -> str:
    """The sentence for a thing that is not there, or that is not the caller's to see."""
    return f"{what} {ident[:255]} could not be found."
