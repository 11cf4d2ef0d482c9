"""The only module that knows status codes. Every refusal is one JSON shape, with a request id and no traceback."""

import logging
import secrets
from typing import Any

from flask import Flask, Response, g, request
from sqlalchemy.exc import DataError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.exceptions import HTTPException

from appliance.domain import errors
from appliance.http.json_body import reply
from bmc.errors import BmcError

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
_RACES = {"40001", "40P01"}  # PostgreSQL: serialization_failure, deadlock_detected
HTTP_CODES = {404: "not-found", 405: "method-not-allowed", 413: "too-large", 415: "unsupported-media-type"}


def install(app: Flask) -> None:
    """Give every answer a request id and every failure the same shape."""

    @app.before_request
    def _begin() -> None:
        g.request_id = "req-" + secrets.token_hex(8)

    @app.after_request
    def _end(response: Response) -> Response:
        response.headers["X-Request-Id"] = g.get("request_id", "")
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
    response = reply(body(error.code, error.message, why=error.why, next_step=error.next_step), status)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _bmc(error: BmcError) -> Response:
    status = 501 if error.kind == "unsupported" else 502
    nxt = "try again" if error.retryable else "check the BMC's address, user name and password"
    return reply(
        body(f"bmc-{error.kind}", str(error), why="the BMC did not do what it was asked", next_step=nxt), status
    )


def _stale(error: StaleDataError | IntegrityError | OperationalError | InterfaceError) -> Response:
    log.info("request lost a race request=%s path=%s kind=%s", g.request_id, request.path, type(error).__name__)
    text = "somebody else changed this at the same time"
    why = "two changes met in the database; this one was undone as a whole"
    if not request.path.startswith("/v1/"):  # a program that repeats what failed, and gives up what was refused
        return reply(body("unavailable", text, why=why, next_step="repeat it"), 503)
    return reply(body("conflict", text, why=why, next_step="look again and repeat"), 409)


def _not_keepable(_error: DataError) -> Response:
    """Which value it was, the database says together with the values; so nothing of it is told or logged."""
    text = "the request holds a text that cannot be kept"
    return reply(body("invalid", text, why="it is too long, or holds the character NUL"), 400)


def _crowded(_error: PoolTimeout) -> Response:
    log.warning("no database connection was free request=%s path=%s", g.get("request_id", ""), request.path)
    return reply(body("unavailable", "the appliance is busy", next_step="try again"), 503)


def _storage(error: OperationalError | InterfaceError) -> Response:
    if getattr(error.orig, "sqlstate", None) in _RACES:
        return _stale(error)
    log.error("database refused request=%s error=%s", g.get("request_id", ""), error.orig)
    full = "full" in str(error.orig).lower()
    text = "the appliance's disk is full; nothing was changed" if full else "the database cannot be used right now"
    return reply(
        body("storage-full" if full else "unavailable", text, next_step="rackwright doctor"), 507 if full else 503
    )


def _http(error: HTTPException) -> Response:
    status = error.code or 500
    response = reply(body(HTTP_CODES.get(status, "invalid"), error.description or error.name), status)
    if status == 405:
        response.headers["Allow"] = ", ".join(sorted(getattr(error, "valid_methods", None) or []))
    return response


def _ours(error: Exception) -> Response:
    log.error("request failed request=%s path=%s", g.get("request_id", ""), request.path, exc_info=error)
    text = "something went wrong inside the appliance; it was logged under this request id"
    return reply(body("internal", text, next_step="rackwright doctor"), 500)
