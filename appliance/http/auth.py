"""Who asks, and may they? Every route names its permission; a route without one cannot be registered.

Who holds a token is remembered for KNOWN_FOR, so that most requests cost no look at the database. What this process
itself changes (log-out, password, role) counts at once; what another process or a hand changes, within KNOWN_FOR.
"""

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any

from flask import g, request

from appliance.domain.access import Actor, Permission, may
from appliance.domain.errors import Forbidden, Unauthenticated
from appliance.http.context import Context
from appliance.services import identity


def bearer() -> str:
    """The token of the Authorization header; never of the query string."""
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


def allowed(context: Context, permission: Permission) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Let the view run only for an actor with the permission; the actor is `g.actor`."""
    callers = Callers(context)

    def wrap(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def checked(**arguments: Any) -> Any:
            g.actor = callers.find(bearer())
            if not may(g.actor.role, permission):
                raise Forbidden(f"your role {g.actor.role!r} does not allow this", next_step="ask an administrator")
            return view(**arguments)

        return checked

    return wrap
