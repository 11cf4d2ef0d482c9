"""Who asks, and may they? Every route names its permission; a route without one cannot be registered."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import g, request

from appliance.domain.access import Permission, may
from appliance.domain.errors import Forbidden, Unauthenticated
from appliance.http.context import Context
from appliance.services import identity


def bearer() -> str:
    """The token of the Authorization header; never of the query string."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise Unauthenticated("a token is needed", next_step="rackwright login")
    return token.strip()


def allowed(context: Context, permission: Permission) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Let the view run only for an actor with the permission; the actor is `g.actor`."""

    def wrap(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def checked(**arguments: Any) -> Any:
            token = bearer()
            with context.database.read() as session:
                g.actor = identity.authenticate(session, token, context.clock())
            if not may(g.actor.role, permission):
                raise Forbidden(f"your role {g.actor.role!r} does not allow this", next_step="ask an administrator")
            return view(**arguments)

        return checked

    return wrap
