"""Log-in, flows, events and the doctor."""

import threading
import time
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, g, request
from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain.access import Permission
from appliance.domain.errors import Invalid, NotFound, Unavailable
from appliance.http.auth import allowed, authenticated
from appliance.http.context import Context
from appliance.http.json_body import nothing, number, only, read_object, reply, stamp
from appliance.http.native import present
from appliance.models.event import Event
from appliance.models.flow import IS_ACTIVE, Flow
from appliance.services import events, identity, nodes

EVENT_WAIT_MAX_S = 30


def waits_at_once(threads: int) -> int:
    """How many requests may wait for events; the rest are answered at once with what there is."""
    return max(1, threads // 2)


def install(app: Flask, context: Context) -> None:
    read = allowed(context, Permission.READ)
    known, identities = authenticated(context), allowed(context, Permission.IDENTITY)
    waits = threading.BoundedSemaphore(waits_at_once(context.config.api.threads))
    routes: list[tuple[str, str, str, Callable[..., Any]]] = [
        ("POST", "/v1/login", "login", lambda: _login(context)),
        ("POST", "/v1/logout", "logout", known(lambda: _logout(context))),
        ("POST", "/v1/password", "password", known(lambda: _password(context))),
        ("POST", "/v1/token-keys", "token_keys", identities(lambda: _rotate(context))),
        ("GET", "/v1/whoami", "whoami", known(_whoami)),
        ("GET", "/v1/flows", "flow_list", read(lambda: _flows(context))),
        ("GET", "/v1/flows/<uuid>", "flow_show", read(lambda uuid: _flow(context, uuid))),
        ("GET", "/v1/events", "event_list", read(lambda: _events(context, waits))),
        ("GET", "/v1/doctor", "doctor", read(lambda: _doctor(context))),
    ]
    for method, rule, name, view in routes:
        app.add_url_rule(rule, name, view, methods=[method])


def _login(context: Context) -> Response:
    body = only(read_object(65536), "username", "password")
    name, password = body.get("username"), body.get("password")
    if not isinstance(name, str) or not isinstance(password, str):
        raise Invalid("username and password are texts")
    granted = identity.login(context.tokens, name=name, password=password, source=request.remote_addr or "")
    actor = granted.actor
    shown = {"token": granted.token, "expires_at": stamp(granted.expires_at), "must_change": actor.must_change}
    return reply(shown | {"username": actor.name, "role": actor.role})


def _logout(context: Context) -> Response:
    with context.database.write() as session:
        context.tokens.end_session(session, g.caller.claims)
    return nothing()


def _password(context: Context) -> Response:
    body = only(read_object(65536), "old", "new")
    old, new = body.get("old"), body.get("new")
    if not isinstance(old, str) or not isinstance(new, str):
        raise Invalid("old and new are texts")
    source = request.remote_addr or ""
    identity.change_own_password(context.tokens, user_uuid=g.actor.user_uuid, old=old, new=new, source=source)
    return nothing()


def _rotate(context: Context) -> Response:
    """Seal tokens with the next key from now on; the older ones open theirs until these have expired."""
    with context.database.write() as session:
        opening = context.tokens.rotate(session)
    return reply({"keys": opening})


def _whoami() -> Response:
    return reply({"username": g.actor.name, "role": g.actor.role})


def _flows(context: Context) -> Response:
    state = request.args.get("state", "active")
    if state not in ("active", "all"):
        raise Invalid("state is active or all")
    query = select(Flow).order_by(Flow.id.desc()).limit(number("limit", default=100, lowest=1, highest=1000))
    if state == "active":
        query = query.where(IS_ACTIVE)
    with context.database.read() as session:
        items = present.flows(session, session.scalars(query).all())
    return reply({"items": items, "next": None})


def _flow(context: Context, uuid: str) -> Response:
    with context.database.read() as session:
        row = session.scalar(select(Flow).where(Flow.uuid == uuid.lower()[:36]))
        if row is None:
            raise NotFound(f"no flow {uuid[:40]!r}", next_step="rackwright flow list")
        return reply(present.flow(session, row))


def _events(context: Context, waits: threading.BoundedSemaphore) -> Response:
    """Events after an id; waits up to `wait` seconds for the first. `last`: the newest so many instead."""
    if "last" in request.args:
        return _newest(context, number("last", default=100, lowest=1, highest=1000), request.args.get("node"))
    after = number("after", default=0, lowest=0, highest=2**40)
    wait_s = number("wait", default=0, lowest=0, highest=EVENT_WAIT_MAX_S)
    limit = number("limit", default=200, lowest=1, highest=1000)
    ref = request.args.get("node")
    seen = context.database.bells.count(events.TOPIC)
    found = _look(context, after, limit, ref)
    if not found and wait_s:
        if not waits.acquire(blocking=False):
            raise Unavailable("too many watch at once", next_step="try again")
        try:
            found = _await(context, after, limit, ref, seen=seen, wait_s=wait_s)
        finally:
            waits.release()
    return reply({"items": found, "next": found[-1]["id"] if found else after})


def _await(
    context: Context, after: int, limit: int, ref: str | None, *, seen: int, wait_s: int
) -> list[dict[str, Any]]:
    end = time.monotonic() + wait_s
    found: list[dict[str, Any]] = []
    while not found and (left := end - time.monotonic()) > 0:
        context.database.bells.wait(events.TOPIC, seen=seen, timeout_s=min(left, 1.0))
        seen = context.database.bells.count(events.TOPIC)
        found = _look(context, after, limit, ref)
    return found


def _newest(context: Context, limit: int, ref: str | None) -> Response:
    with context.database.read() as session:
        node = nodes.fetch(session, ref) if ref else None
        found = _shown(session, events.newest(session, limit=limit, node=node))
    return reply({"items": found, "next": found[-1]["id"] if found else 0})


def _look(context: Context, after: int, limit: int, ref: str | None) -> list[dict[str, Any]]:
    with context.database.read() as session:
        node = nodes.fetch(session, ref) if ref else None
        return _shown(session, events.stream(session, after=after, limit=limit, node=node))


def _shown(session: Session, rows: list[Event]) -> list[dict[str, Any]]:
    labels = events.labels(session, rows)
    return [present.event(row, node_label=labels.get(row.node_id or 0)) for row in rows]


def _doctor(context: Context) -> Response:
    with context.database.read() as session:
        return reply({"checks": context.doctor(session)})
