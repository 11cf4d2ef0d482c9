"""The only module that knows status codes. Every refusal is one JSON shape, with a request id and no traceback."""

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, current_app, g, request
from sqlalchemy.exc import DataError, IntegrityError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.exceptions import HTTPException

from appliance.domain import errors
from appliance.http.json_body import reply
from appliance.models.database import is_out_of_order
from bmc.errors import BmcError, Unsupported

log = logging.getLogger(__name__)

STATUS: dict[type[errors.RackwrightError], int] = {
    errors.Invalid: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.Unavailable: 503,
    errors.StorageFull: 507,
}
MACHINES = ("/agent/", "/internal/")
_RACES = {"40001", "40P01"}  # PostgreSQL: serialization_failure, deadlock_detected
HTTP_CODES = {404: "not-found", 405: "method-not-allowed", 413: "too-large", 415: "unsupported-media-type"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What a face needs to say no: an HTTP status and sentences that hold no secret.

    cause: the error behind it, for a face whose words depend on its kind.
    """

    status: int
    code: str
    message: str
    why: str = ""
    next_step: str = ""
    cause: Exception | None = None


_BMC_NEXT = {
    "unreachable": "rackwright node show NODE: is that the BMC's address, and can it be reached? then ask again",
    "denied": "rackwright node set NODE --username USER --password-file FILE",
    "nonsense": "try again; a newer firmware of the BMC may cure it",
}
Shape = Callable[[Refusal], Response]
_SHAPES = "rackwright.shapes"


def speak(app: Flask, prefix: str, shape: Shape) -> None:
    """Refusals of paths at or below `prefix` (such as `/baremetal`) are said in this shape, not in the native one."""
    app.extensions.setdefault(_SHAPES, {})[prefix] = shape


def _say(refusal: Refusal) -> Response:
    shapes: dict[str, Shape] = current_app.extensions.get(_SHAPES, {})
    shape = shapes.get("/" + request.path[1:].partition("/")[0]) if shapes else None
    return shape(refusal) if shape else _native(refusal)


def _native(refusal: Refusal) -> Response:
    """`{"error": {code, message, why, next, request_id}}`."""
    return reply(body(refusal.code, refusal.message, why=refusal.why, next_step=refusal.next_step), refusal.status)


def install(app: Flask) -> None:
    """Give every answer a request id and every failure the same shape."""

    @app.before_request
    def _begin() -> None:
        g.request_id = "req-" + secrets.token_hex(8)

    @app.after_request
    def _end(response: Response) -> Response:
        response.headers.add("X-Request-Id", g.get("request_id", ""))
        if response.status_code == 503:
            response.headers["Retry-After"] = "2"
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    app.register_error_handler(errors.RackwrightError, _refusal)
    app.register_error_handler(BmcError, _bmc)
    app.register_error_handler(StaleDataError, _stale)
    app.register_error_handler(IntegrityError, _stale)
    app.register_error_handler(OperationalError, _storage)
    app.register_error_handler(InterfaceError, _storage)
    app.register_error_handler(InternalError, _internal)
    app.register_error_handler(PoolTimeout, _crowded)
    app.register_error_handler(DataError, _not_keepable)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _ours)


def body(code: str, message: str, *, why: str = "", next_step: str = "") -> dict[str, Any]:
    return {
        "error": {
            "code": code,
            "message": message,
            "why": why,
            "next": next_step,
            "request_id": g.get("request_id", ""),
        }
    }


def _refusal(error: errors.RackwrightError) -> Response:
    status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)
    why, next_step = (error.why, error.next_step) if _may_know(error) else ("", "")
    response = _say(
        Refusal(status=status, code=error.code, message=error.message, why=why, next_step=next_step, cause=error)
    )
    if status == 401:
        response.headers.setdefault("WWW-Authenticate", "Bearer")
    return response


def _may_know(error: errors.RackwrightError) -> bool:
    """Whose a thing is that somebody else has, is for those who see everything."""
    actor = g.get("actor")
    return not isinstance(error, errors.Taken) or (actor is not None and actor.is_site_wide)


def _bmc(error: BmcError) -> Response:
    """Never a 5xx: those are the appliance's own trouble, and what guards it would take it for sick (Decision 250)."""
    if isinstance(error, Unsupported):  # the wish is at fault and not the BMC
        status, nxt = 400, "ask a node whose driver and BMC can"
    else:
        status, nxt = 424, _BMC_NEXT.get(error.kind, "try again")
    return _say(Refusal(status=status, code=f"bmc-{error.kind}", message=str(error), next_step=nxt, cause=error))


def _stale(error: StaleDataError | IntegrityError | OperationalError | InterfaceError | InternalError) -> Response:
    log.info("request lost a race request=%s path=%s kind=%s", g.request_id, request.path, type(error).__name__)
    text = "somebody else changed this at the same time"
    why = "two changes met in the database; this one was undone as a whole"
    if request.path.startswith(MACHINES):  # a program that repeats what failed, and gives up what was refused
        return _say(Refusal(status=503, code="unavailable", message=text, why=why, next_step="repeat it"))
    return _say(Refusal(status=409, code="conflict", message=text, why=why, next_step="look again and repeat"))


def _not_keepable(_error: DataError) -> Response:
    """Which value it was, the database says together with the values; so nothing of it is told or logged."""
    text = "the request holds a text that cannot be kept"
    return _say(Refusal(status=400, code="invalid", message=text, why="it is too long, or holds the character NUL"))


def _crowded(_error: PoolTimeout) -> Response:
    log.warning("no database connection was free request=%s path=%s", g.get("request_id", ""), request.path)
    return _say(Refusal(status=503, code="unavailable", message="the appliance is busy", next_step="try again"))


def _internal(error: InternalError) -> Response:
    """PostgreSQL says so of a server that takes no writes now, and of some things that are our own fault."""
    return _storage(error) if is_out_of_order(error) else _ours(error)


def _storage(error: OperationalError | InterfaceError | InternalError) -> Response:
    if getattr(error.orig, "sqlstate", None) in _RACES:
        return _stale(error)
    log.error("database refused request=%s error=%s", g.get("request_id", ""), error.orig)
    if "full" in str(error.orig).lower():
        text = "the appliance's disk is full; nothing was changed"
        return _say(Refusal(status=507, code="storage-full", message=text, next_step="rackwright doctor"))
    text = "the database cannot be used right now"
    return _say(Refusal(status=503, code="unavailable", message=text, next_step="rackwright doctor"))


def _http(error: HTTPException) -> Response:
    status = error.code or 500
    code = HTTP_CODES.get(status, "invalid")
    response = _say(Refusal(status=status, code=code, message=error.description or error.name, cause=error))
    if status == 405:
        response.headers["Allow"] = ", ".join(sorted(getattr(error, "valid_methods", None) or []))
    return response


def _ours(error: Exception) -> Response:
    log.error("request failed request=%s path=%s", g.get("request_id", ""), request.path, exc_info=error)
    text = "something went wrong inside the appliance; it was logged under this request id"
    return _say(Refusal(status=500, code="internal", message=text, next_step="rackwright doctor"))
