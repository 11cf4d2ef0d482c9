"""/v1/subnets, /v1/leases, /v1/sightings."""

from collections.abc import Callable
from typing import Any

from flask import Flask, Response, g
from sqlalchemy import select

from appliance.domain import names
from appliance.domain.access import Permission
from appliance.domain.errors import NotFound
from appliance.http.auth import allowed
from appliance.http.context import Context
from appliance.http.json_body import nothing, read_object, reply
from appliance.http.native import present
from appliance.models.node import Sighting
from appliance.services import network, tls


def install(app: Flask, context: Context) -> None:
    read, write = allowed(context, Permission.READ), allowed(context, Permission.CONFIGURE)
    routes: list[tuple[str, str, str, Callable[..., Any]]] = [
        ("GET", "/v1/subnets", "subnet_list", read(lambda: _subnets(context))),
        ("POST", "/v1/subnets", "subnet_create", write(lambda: _create(context))),
        ("GET", "/v1/subnets/<name>", "subnet_show", read(lambda name: _show(context, name))),
        ("DELETE", "/v1/subnets/<name>", "subnet_delete", write(lambda name: _delete(context, name))),
        ("GET", "/v1/leases", "lease_list", read(lambda: _leases(context))),
        ("GET", "/v1/sightings", "sighting_list", read(lambda: _sightings(context))),
        ("DELETE", "/v1/sightings/<mac>", "sighting_delete", write(lambda mac: _forget(context, mac))),
    ]
    for method, rule, name, view in routes:
        app.add_url_rule(rule, name, view, methods=[method])


def _subnets(context: Context) -> Response:
    with context.database.read() as session:
        return reply({"items": [present.subnet(row) for row in network.subnets(session)], "next": None})


def _create(context: Context) -> Response:
    body = read_object()
    with context.database.write() as session:
        domain = context.config.netboot.domain
        made = network.create_subnet(session, body, domain=domain, actor=g.actor.name, now=context.clock())
        warning = network.not_served(made, interfaces=network.local_interfaces(), addresses=tls.local_addresses())
        shown = {**present.subnet(made), "warning": warning}
    return reply(shown, 201)


def _show(context: Context, name: str) -> Response:
    with context.database.read() as session:
        return reply(present.subnet(network.fetch_subnet(session, name)))


def _delete(context: Context, name: str) -> Response:
    with context.database.write() as session:
        network.delete_subnet(session, network.fetch_subnet(session, name), actor=g.actor.name, now=context.clock())
    return nothing()


def _leases(context: Context) -> Response:
    with context.database.read() as session:
        return reply({"items": [present.lease(row) for row in network.leases(session)], "next": None})


def _sightings(context: Context) -> Response:
    with context.database.read() as session:
        found = session.scalars(select(Sighting).order_by(Sighting.last_seen_at.desc()).limit(1000))
        return reply({"items": [present.sighting(row) for row in found], "next": None})


def _forget(context: Context, mac: str) -> Response:
    with context.database.write() as session:
        row = session.scalar(select(Sighting).where(Sighting.mac == names.mac(mac)))
        if row is None:
            raise NotFound(f"no sighting of {mac[:40]!r}", next_step="rackwright sighting list")
        session.delete(row)
    return nothing()
