"""/internal: what netboot asks of control, over a unix socket that only this appliance's processes can open (0600).

Not here: any credential, because the socket's permissions are the credential; anything that an outsider may reach.
"""

import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from ipaddress import IPv4Address
from typing import Any

from flask import Flask, Response, request

from appliance.domain import boot as rules
from appliance.domain import names, untrusted
from appliance.domain.errors import Invalid, NotFound
from appliance.http.context import Context
from appliance.http.json_body import nothing, number, read_object, reply
from appliance.models import event
from appliance.models.database import announce
from appliance.services import agents, boot, events, network
from pxe import ipxe
from pxe.types import Mac

log = logging.getLogger(__name__)

MAX_EVENTS = 1000
WAIT_MAX_S = 60


def install(app: Flask, context: Context) -> None:
    routes: list[tuple[str, str, str, Callable[..., Any]]] = [
        ("GET", "/internal/netboot", "netboot", lambda: _netboot(context)),
        ("POST", "/internal/boot/plan", "plan", lambda: _plan(context)),
        ("GET", "/internal/boot/script", "script", lambda: _script(context)),
        ("GET", "/internal/file", "file", lambda: _file(context)),
        ("POST", "/internal/call-home", "call_home", lambda: _call_home(context)),
        ("POST", "/internal/events", "events", lambda: _events(context)),
        ("POST", "/internal/leases", "leases", lambda: _leases(context)),
    ]
    for method, rule, name, view in routes:
        app.add_url_rule(rule, name, view, methods=[method])


def _netboot(context: Context) -> Response:
    """The whole picture, or 304 when nothing changed within `wait` seconds. The revision is a hash of the picture."""
    wait_s = number("wait", default=0, lowest=0, highest=WAIT_MAX_S)
    known = request.args.get("revision", "")
    end = time.monotonic() + wait_s
    while True:
        seen = context.database.bells.count(network.NETBOOT_TOPIC)
        with context.database.read() as session:
            shown = network.picture(session)
        shown |= {
            "discovery": context.config.netboot.discovery,
            "domain": context.config.netboot.domain,
            "http_port": context.config.netboot.http_port,
        }
        revision = network.revision(shown)
        if revision != known:
            return reply({"revision": revision} | shown)
        left = end - time.monotonic()
        if left <= 0:
            return Response(status=304)
        context.database.bells.wait(network.NETBOOT_TOPIC, seen=seen, timeout_s=min(left, 5.0))


def _plan(context: Context) -> Response:
    body = read_object()
    mac = names.mac(str(body.get("mac", "")))
    address = names.ip_address(str(body["address"])) if body.get("address") else None
    firmware, now = str(body.get("firmware", "unknown"))[:16], context.clock()
    policy = context.discovery.discovery

    asked: dict[str, Any] = {"mac": mac, "address": address, "firmware": firmware, "discovery": policy, "now": now}
    with context.database.read() as session:
        decided = None if boot.is_news(session, **asked) else boot.decide(session, mac=mac, discovery=policy, now=now)
    if decided is None:
        with context.database.write() as session:  # an unknown machine leaves a sighting
            decided = boot.plan(session, **asked)
    action = {rules.Action.AGENT: "boot", rules.Action.LOCAL: "local", rules.Action.IGNORE: "ignore"}[decided.action]
    return reply({"action": action, "why": decided.why, "node": decided.node})


def _script(context: Context) -> Response:
    """An iPXE script. Never an error: a machine that asks always gets something that it can run."""
    mac = names.mac(request.args.get("mac", ""))
    server = names.ip_address(request.args.get("server", ""))
    address, platform = request.args.get("address") or None, request.args.get("platform", "pcbios")
    with context.database.write() as session:
        decided, ticket = boot.grant(
            session, mac=mac, address=address, server=server, discovery=context.discovery.discovery, now=context.clock()
        )
        announce(session, events.TOPIC)
    if ticket is None:
        local = ipxe.local_boot_script("efi" if platform == "efi" else "pcbios", why=decided.why)
        return Response(local, mimetype="text/plain")
    script = ipxe.agent_script(
        server=IPv4Address(server), mac=Mac(mac), ca_sha256=context.ca_fingerprint, boot_secret=ticket.secret,
        http_port=context.config.netboot.http_port, api_port=context.config.agent.listen.port,
    )  # fmt: skip
    return Response(script, mimetype="text/plain")


def _file(context: Context) -> Response:
    found = context.images.served_file(request.args.get("path", ""), request.args.get("token", ""))
    if found is None:
        raise NotFound("no such file, or its token is over")
    return reply({"file": str(found), "size": found.stat().st_size, "sha256": None})


def _call_home(context: Context) -> Response:
    body = read_object()
    token, address = str(body.get("token", "")), names.ip_address(str(body.get("address", "")))
    with context.database.read() as session:
        known = agents.instance_of(session, token) is not None
    if known:  # a stranger costs no write
        with context.database.write() as session:
            known = agents.called_home(session, token, address=address, now=context.clock())
            announce(session, events.TOPIC)
    if not known:
        raise NotFound("no instance waits with this token")
    return nothing()


def _events(context: Context) -> Response:
    items = read_object(4 * 1024 * 1024).get("events")
    if not isinstance(items, list) or len(items) > MAX_EVENTS:
        raise Invalid(f"events is a list of at most {MAX_EVENTS} objects")
    rows = [row for row in (_parsed(item) for item in items) if row is not None]
    with context.database.write() as session:
        owners = boot.owners(session, {row["mac"] for row in rows if row["mac"]})
        for row in rows:
            event.record(session, **row, actor="netboot", node_id=owners.get(row["mac"]))
        announce(session, events.TOPIC)
    return nothing()


def _parsed(item: Any) -> dict[str, Any] | None:
    """An event of netboot, checked. A bad one is dropped alone: netboot repeats a batch until all of it is taken."""
    try:
        mac, data = item["mac"], item.get("data")
        return {
            "at": datetime.fromtimestamp(float(item["at"]), tz=UTC),
            "kind": untrusted.text(item["kind"], 48),
            "mac": None if mac is None else names.mac(str(mac)),
            "message": untrusted.text(item.get("message"), 2000),
            "data": untrusted.tree(data) if isinstance(data, Mapping) else {},
        }
    except (Invalid, KeyError, TypeError, ValueError, OverflowError, OSError) as fault:
        log.warning("event of netboot dropped fault=%r", fault)
        return None


def _leases(context: Context) -> Response:
    items = read_object(4 * 1024 * 1024).get("leases")
    if not isinstance(items, list):
        raise Invalid("leases is a list")
    with context.database.write() as session:
        network.store_leases(session, items)
    return nothing()
