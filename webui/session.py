"""Who looks at the console: the API token in a cookie, and the CSRF token derived from it."""

import hashlib
import hmac
from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Response, g, redirect, request, url_for

from appliance.domain.access import Permission, demand
from appliance.domain.errors import Forbidden, Unauthenticated
from appliance.models.database import Database
from appliance.services import identity

COOKIE = "rackwright"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)


def csrf_of(token: str) -> str:
    """A form token that only the holder of the cookie can know."""
    return hmac.new(token.encode(), b"csrf", hashlib.sha256).hexdigest()


def remember(response: Response, token: str, lifetime_s: int) -> None:
    response.set_cookie(COOKIE, token, max_age=lifetime_s, secure=True, httponly=True, samesite="Lax", path="/")


def forget(response: Response) -> None:
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="Lax")


def seen_by(
    database: Database, clock: Callable[[], Any], permission: Permission
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Run the view for a logged-in actor with the permission; everybody else is sent to the log-in page."""

    def wrap(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def checked(**arguments: Any) -> Any:
            token = request.cookies.get(COOKIE, "")
            try:
                with database.read() as session:
                    g.actor = identity.authenticate(session, token, clock())
            except Unauthenticated:
                return redirect(url_for("console.login"))
            g.csrf = csrf_of(token)
            if request.method == "POST" and not hmac.compare_digest(request.form.get("csrf", ""), g.csrf):
                raise Forbidden("this form is too old or came from another site", next_step="reload the page")
            demand(g.actor, permission)
            return view(**arguments)

        return checked

    return wrap


def harden(response: Response) -> Response:
    """No page is cached, framed, sniffed or able to load anything from elsewhere."""
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    response.headers["Vary"] = "Cookie"
    return response
