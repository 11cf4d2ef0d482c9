"""Who looks at the console: the API token in a cookie, the CSRF token derived from it, and the headers of each page."""

import hashlib
import hmac
from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Response, g, redirect, request, url_for

from appliance.domain.access import Permission, demand
from appliance.domain.errors import Forbidden, Unauthenticated
from webui.site import Site

COOKIE = "rackwright"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)

View = Callable[..., Any]


def csrf_of(token: str) -> str:
    """A form token that only the holder of the cookie can know."""
    return hmac.new(token.encode(), b"csrf", hashlib.sha256).hexdigest()


def _is_same(given: str, wanted: str) -> bool:
    """As octets: of texts only ASCII can be compared so, and a form may hold anything."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), wanted.encode())


def remember(response: Response, token: str, lifetime_s: int) -> None:
    response.set_cookie(COOKIE, token, max_age=lifetime_s, secure=True, httponly=True, samesite="Lax", path="/")


def forget(response: Response) -> None:
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="Lax")


def inside(path: str) -> str:
    """A place in this console to go on to after the log-in; `/` for everything else, and for other sites."""
    is_ours = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if is_ours and len(path) < 2000 else "/"


def refuse_other_sites() -> None:
    """Browsers say where a form came from; log-in, which has no token yet, must not be filled in by another site."""
    if request.method == "POST" and request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
        raise Forbidden("this form came from another site", next_step="open the console itself and try again")


def seen_by(site: Site, permission: Permission | None) -> Callable[[View], View]:
    """Run the view for a logged-in actor with the permission; everybody else is sent to the log-in page.

    permission: None for what everybody may do who is logged in, such as changing one's own password.
    """

    def wrap(view: View) -> View:
        @wraps(view)
        def checked(**arguments: Any) -> Any:
            token = request.cookies.get(COOKIE, "")
            try:
                g.caller = site.tokens.find(token)
            except Unauthenticated:
                wanted = request.full_path.rstrip("?") if request.method == "GET" else "/"
                return redirect(url_for("console.login", next=wanted if wanted != "/" else None))
            if g.caller.rules is not None:
                raise Forbidden("this token is for certain requests of another API only")
            g.actor, g.csrf = g.caller.actor, csrf_of(token)
            if request.method == "POST" and not _is_same(request.form.get("csrf", ""), g.csrf):
                raise Forbidden("this form is too old or came from another site", next_step="reload the page")
            if permission is not None:
                demand(g.actor, permission)
            return view(**arguments)

        return checked

    return wrap


def harden(response: Response) -> Response:
    """No page is cached, framed, sniffed or able to load from elsewhere; an unchanged one is not sent again."""
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    response.headers["Vary"] = "Cookie"
    if request.method == "GET" and response.status_code == 200 and not response.is_streamed:
        response.add_etag()
        response.make_conditional(request)
    return response
