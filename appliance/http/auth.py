"""Who asks, and may they? Every native route names its permission; a route without one cannot be registered. The
OpenStack faces have policies of their own and ask only that the caller be `authenticated`.

Who holds a token is remembered for a moment (services.identity.bearers), so most requests cost no look at the database.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn

from flask import g, request

from appliance.domain.access import Actor, Permission, may
from appliance.domain.errors import Forbidden, Unauthenticated
from appliance.http.context import Context
from appliance.services.identity import Caller, access_rules

View = Callable[..., Any]

FACES = {"identity": "identity", "baremetal": "baremetal", "image": "image"}
"""The first segment of a path to the type of service that it belongs to; the native API has no such type."""


def bearer() -> str:
    """The token of the X-Auth-Token or the Authorization header; never of the query string."""
    if given := request.headers.get("X-Auth-Token", "").strip():
        return given
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise Unauthenticated("a token is needed", next_step="rackwright login")
    return token.strip()


def known_caller(context: Context) -> Caller:
    """Who asks; also `g.caller`, and its actor `g.actor`. Raises Unauthenticated, Forbidden."""
    caller = context.tokens.find(bearer())
    if caller.rules is not None:
        face, _, rest = request.path[1:].partition("/")
        service = FACES.get(face, "")
        if not access_rules.permits(caller.rules, service=service, method=request.method, path=f"/{rest}"):
            raise Forbidden("the access rules of this application credential do not allow this request")
    g.caller, g.actor = caller, caller.actor
    return caller


def authenticated(context: Context) -> Callable[[View], View]:
    """Let the view run for anybody whose token is good, whatever its scope; the actor is `g.actor`."""

    def wrap(view: View) -> View:
        @wraps(view)
        def known(**arguments: Any) -> Any:
            known_caller(context)
            return view(**arguments)

        return known

    return wrap


def allowed(context: Context, permission: Permission) -> Callable[[View], View]:
    """Let the view run only for an actor with the permission on the whole site; the actor is `g.actor`."""

    def wrap(view: View) -> View:
        @wraps(view)
        def checked(**arguments: Any) -> Any:
            actor = known_caller(context).actor
            if not (actor.is_site_wide and may(actor.role, permission)):
                refuse(actor)
            return view(**arguments)

        return checked

    return wrap


def refuse(actor: Actor) -> NoReturn:
    if not actor.is_site_wide:
        raise Forbidden("this needs a role on the whole system", next_step="ask with system scope")
    raise Forbidden(f"your role {actor.role!r} does not allow this", next_step="ask an administrator")
