"""/v1/nodes: parse, call a service, present. Decides nothing."""

from collections.abc import Callable
from typing import Any

from flask import Flask, Response, g, request

from appliance.domain.access import Permission
from appliance.domain.errors import Invalid, RackwrightError, TooLarge
from appliance.domain.lifecycle import Verb
from appliance.http.auth import allowed
from appliance.http.context import Context
from appliance.http.json_body import nothing, number, only, read_object, reply, stamp
from appliance.http.native import present
from appliance.models.event import Event
from appliance.services import deployment, events, lifecycle, node_input, nodes

BULK_MAX = 1000
VERBS = {
    "manage": Verb.MANAGE,
    "inspect": Verb.INSPECT,
    "provide": Verb.PROVIDE,
    "clean": Verb.CLEAN,
    "deploy": Verb.DEPLOY,
    "rebuild": Verb.REBUILD,
    "undeploy": Verb.UNDEPLOY,
    "adopt": Verb.ADOPT,
    "rescue": Verb.RESCUE,
    "unrescue": Verb.UNRESCUE,
    "service": Verb.SERVICE,
    "unhold": Verb.UNHOLD,
}
MAX_WISH = 4 * 1024 * 1024
"""A verb may bring a config-drive along."""


def install(app: Flask, context: Context) -> None:
    read, write = allowed(context, Permission.READ), allowed(context, Permission.CONFIGURE)
    operate = allowed(context, Permission.OPERATE)
    routes: list[tuple[str, str, str, Callable[..., Any]]] = [
        ("GET", "/v1/nodes", "node_list", read(lambda: _list(context))),
        ("POST", "/v1/nodes", "node_create", write(lambda: _create(context))),
        ("POST", "/v1/nodes/bulk", "node_bulk", write(lambda: _bulk(context))),
        ("GET", "/v1/nodes/<ref>", "node_show", read(lambda ref: _show(context, ref))),
        ("PATCH", "/v1/nodes/<ref>", "node_change", write(lambda ref: _change(context, ref))),
        ("DELETE", "/v1/nodes/<ref>", "node_delete", write(lambda ref: _delete(context, ref))),
        ("PUT", "/v1/nodes/<ref>/maintenance", "node_maintain", operate(lambda ref: _maintain(context, ref, on=True))),
        (
            "DELETE",
            "/v1/nodes/<ref>/maintenance",
            "node_end_maintain",
            operate(lambda ref: _maintain(context, ref, on=False)),
        ),
        ("POST", "/v1/nodes/<ref>/abort", "node_abort", operate(lambda ref: _abort(context, ref))),
        ("POST", "/v1/nodes/<ref>/<verb>", "node_verb", operate(lambda ref, verb: _verb(context, ref, verb))),
        ("GET", "/v1/nodes/<ref>/inventory", "node_inventory", read(lambda ref: _inventory(context, ref))),
        ("GET", "/v1/nodes/<ref>/timeline", "node_timeline", read(lambda ref: _timeline(context, ref))),
        ("GET", "/v1/nodes/<ref>/why", "node_why", read(lambda ref: _why(context, ref))),
    ]
    for method, rule, name, view in routes:
        app.add_url_rule(rule, name, view, methods=[method])


def _flag(name: str) -> bool | None:
    text = request.args.get(name)
    if text not in (None, "true", "false"):
        raise Invalid(f"{name} is true or false")
    return None if text is None else text == "true"


def _list(context: Context) -> Response:
    known = {"state", "driver", "rack", "name", "mac", "maintenance", "limit", "marker"}
    unknown = sorted(set(request.args) - known)
    if unknown:
        raise Invalid(f"unknown filter {unknown[0]!r}", next_step=f"filters: {', '.join(sorted(known))}")
    texts = {key: request.args.get(key) for key in ("state", "driver", "rack", "name", "mac", "marker")}
    limit = number("limit", default=100, lowest=1, highest=nodes.PAGE_MAX)
    with context.database.read() as session:
        found = nodes.listing(session, nodes.Filter(**texts, limit=limit, maintenance=_flag("maintenance")))
        items = present.nodes(session, found.rows)
    return reply({"items": items, "next": items[-1]["uuid"] if found.is_full else None})


def _create(context: Context) -> Response:
    wish, _given = node_input.parse(read_object())
    with context.database.write() as session:
        row = nodes.create(session, context.vault, wish, actor=g.actor.name, now=context.clock())
        shown = present.node(session, row)
    return reply(shown, 201)


def _bulk(context: Context) -> Response:
    body = only(read_object(), "nodes", "check")
    wishes = body.get("nodes")
    if not isinstance(wishes, list) or not all(isinstance(item, dict) for item in wishes):
        raise Invalid("nodes is a list of node objects")
    if len(wishes) > BULK_MAX:
        raise TooLarge(f"at most {BULK_MAX} nodes at once")
    check = body.get("check") is True
    return reply({"items": [_bulk_one(context, line, wish, check=check) for line, wish in enumerate(wishes, 1)]})


class _OnlyChecking(Exception):
    """Rolls the transaction of a check back."""


def _stop_here(is_check: bool) -> None:  # noqa: FBT001  (one argument, named at its only call)
    if is_check:
        raise _OnlyChecking


def _bulk_one(context: Context, position: int, wish: dict[str, Any], *, check: bool) -> dict[str, Any]:
    """One node, one transaction: a bad line never takes a good one with it."""
    line = wish.pop("line", position)
    try:
        parsed, _given = node_input.parse(wish)
        with context.database.write() as session:
            label = nodes.create(session, context.vault, parsed, actor=g.actor.name, now=context.clock()).label
            _stop_here(check)
    except _OnlyChecking:
        return {"line": line, "ok": True, "node": None, "error": None}
    except RackwrightError as error:
        refusal = {"code": error.code, "message": error.message, "why": error.why, "next": error.next_step}
        return {"line": line, "ok": False, "node": None, "error": refusal}
    return {"line": line, "ok": True, "node": label, "error": None}


def _show(context: Context, ref: str) -> Response:
    with context.database.read() as session:
        return reply(present.node(session, nodes.fetch(session, ref)))


def _change(context: Context, ref: str) -> Response:
    body = read_object()
    version = _version(body.pop("version", None))
    wish, given = node_input.parse(body, partial=True)
    with context.database.write() as session:
        row = nodes.fetch_to_change(session, ref, version=version)
        nodes.change(session, context.vault, row, wish, given, actor=g.actor.name, now=context.clock())
        shown = present.node(session, row)
    return reply(shown)


def _version(value: object) -> int | None:
    """What the caller saw; a node that was written since is not changed."""
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise Invalid("version is the number that the node showed")
    return value


def _delete(context: Context, ref: str) -> Response:
    with context.database.write() as session:
        nodes.delete(session, nodes.fetch_to_change(session, ref), actor=g.actor.name, now=context.clock())
    return nothing()


def _maintain(context: Context, ref: str, *, on: bool) -> Response:
    reason = only(read_object(), "reason").get("reason")
    if reason is not None and (not isinstance(reason, str) or len(reason) > nodes.LONGEST_REASON):
        raise Invalid(f"reason is a text of at most {nodes.LONGEST_REASON} characters")
    with context.database.write() as session:
        row = nodes.fetch_to_change(session, ref)
        nodes.set_maintenance(session, row, on=on, reason=reason, actor=g.actor.name, now=context.clock())
        shown = present.node(session, row)
    return reply(shown)


def _verb(context: Context, ref: str, verb: str) -> Response:
    if verb not in VERBS:
        raise Invalid(f"unknown verb {verb!r}", next_step=f"verbs: {', '.join([*VERBS, 'abort'])}")
    spec = read_object(MAX_WISH)
    examined = deployment.examine(context.database, context.images, ref, spec)
    with context.database.write() as session:
        row = nodes.fetch_to_change(session, ref)
        checked = deployment.check(
            session, context.vault, context.images, row, verb=VERBS[verb], spec=spec, examined=examined
        )
        flow = lifecycle.request(
            session, node=row, verb=VERBS[verb], spec=checked, actor=g.actor.name, now=context.clock()
        )
        shown = {"node": present.node(session, row), "flow": {"uuid": flow.uuid}}
    return reply(shown, 202)


def _abort(context: Context, ref: str) -> Response:
    with context.database.write() as session:
        row = nodes.fetch_to_change(session, ref)
        lifecycle.abort(session, node=row, actor=g.actor.name, now=context.clock())
        shown = {"node": present.node(session, row)}
    return reply(shown, 202)


def _inventory(context: Context, ref: str) -> Response:
    with context.database.read() as session:
        row = nodes.inventory(session, nodes.fetch(session, ref))
        return reply({"reported_at": stamp(row.reported_at), "inventory": row.report})


def _timeline(context: Context, ref: str) -> Response:
    after = number("after", default=0, lowest=0, highest=2**40)
    limit = number("limit", default=1000, lowest=1, highest=1000)
    with context.database.read() as session:
        row = nodes.fetch(session, ref)
        found: list[Event] = events.of_node(session, row, after=after, limit=limit)
        items = [present.event(item, node_label=row.label) for item in found]
    return reply({"items": items, "next": items[-1]["id"] if len(items) == limit else None})


def _why(context: Context, ref: str) -> Response:
    with context.database.read() as session:
        return reply(lifecycle.why(session, nodes.fetch(session, ref), now=context.clock()))
