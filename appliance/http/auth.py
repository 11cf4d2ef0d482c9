"""Who asks, and may they? Every native route names its permission; a route without one cannot be registered. The
OpenStack faces have policies of their own and ask only that the caller be `authenticated`.

Who holds a token is remembered for KNOWN_FOR, so that most requests cost no look at the database. What this process
itself changes (log-out, password, role) counts at once; what another process or a hand changes, within KNOWN_FOR.
"""

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, NoReturn

from flask import g, request

from appliance.domain.access import Actor, Permission, may
from appliance.domain.errors import Forbidden, Unauthenticated
from appliance.http.context import Context
from appliance.services import identity


def bearer() -> str:
    """The token of the X-Auth-Token or the Authorization header; never of the query string."""
    if given := request.headers.get("X-Auth-Token", "").strip():
        return given
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise Unauthenticated("a token is needed", next_step="rackwright login")
    return token.strip()


KNOWN_FOR = timedelta(seconds=5)
_KNOWN_MOST = 1000


class Callers:
    """Remembers who holds a token, by the token's hash. Safe in threads: each entry is written whole."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._known: dict[bytes, tuple[Actor, datetime, int]] = {}

    def find(self, token: str) -> Actor:
        """Raises identity.TokenRefused."""
        database, now = self._context.database, self._context.clock()
        changes = database.bells.count(identity.TOPIC)  # before the look, so that a change during it is not missed
        digest = hashlib.sha256(token.encode()).digest()
        known = self._known.get(digest)
        # A clock that was set back makes an entry look younger than it is: then we look again too.
        if known is not None and known[2] == changes and timedelta(0) <= now - known[1] < KNOWN_FOR:
            return known[0]
        with database.read() as session:
            actor = identity.authenticate(session, token, now)
        if len(self._known) >= _KNOWN_MOST:
            self._known.clear()
        self._known[digest] = (actor, now, changes)
        return actor


View = Callable[..., Any]


def authenticated(context: Context) -> Callable[[View], View]:
    """Let the view run for anybody whose token is good, whatever its scope; the actor is `g.actor`."""
    callers = Callers(context)

    def wrap(view: View) -> View:
        @wraps(view)
        def known(**arguments: Any) -> Any:
            g.actor = callers.find(bearer())
            return view(**arguments)

        return known

    return wrap


def allowed(context: Context, permission: Permission) -> Callable[[View], View]:
    """Let the view run only for an actor with the permission on the whole site; the actor is `g.actor`."""

    def wrap(view: View) -> View:
        def checked(**arguments: Any) -> Any:
            if not (g.actor.is_site_wide and may(g.actor.role, permission)):
                refuse(g.actor)
            return view(**arguments)

        return authenticated(context)(wraps(view)(checked))

    return wrap


def refuse(actor: Actor) -> NoReturn:
    if not actor.is_site_wide:
        raise Forbidden("this needs a role on the whole system", next_step="ask with system scope")
    raise Forbidden(f"your role {actor.role!r} does not allow this", next_step="ask an administrator")
