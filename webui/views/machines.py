"""Unknown machines: what booted from the network and belongs to no node yet, and how it becomes one."""

from typing import Any

from flask import Response, g, make_response, redirect, render_template, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain import names
from appliance.domain.errors import NotFound, RackwrightError
from appliance.models.node import Sighting
from appliance.services import node_input, nodes
from bmc.registry import DRIVER_NAMES
from webui.site import Site


def page(site: Site) -> str:
    with site.database.read() as session:
        found = list(session.scalars(select(Sighting).order_by(Sighting.last_seen_at.desc()).limit(1000)))
    return render_template("unknown.html", sightings=found)


def enroll_page(site: Site, mac: str) -> str:
    return _form(site, mac, None)


def enroll(site: Site, mac: str) -> Response:
    """The machine becomes a node, as `POST /v1/nodes` makes one."""
    try:
        with site.database.write() as session:
            sighting = _fetch(session, mac)
            wish, _given = node_input.parse(_body(sighting))
            label = nodes.create(session, site.vault, wish, actor=g.actor.name, now=site.clock()).label
    except RackwrightError as refusal:
        return make_response(_form(site, mac, refusal), 409)
    return make_response(redirect(url_for("console.node", ref=label)))


def _form(site: Site, mac: str, problem: RackwrightError | None) -> str:
    with site.database.read() as session:
        sighting = _fetch(session, mac)
    drivers = [name for name in ("ipmi", "redfish", "manual") if name in DRIVER_NAMES]
    return render_template("enroll.html", sighting=sighting, drivers=drivers, given=request.form, problem=problem)


def _fetch(session: Session, mac: str) -> Sighting:
    row = session.scalar(select(Sighting).where(Sighting.mac == names.mac(mac)))
    if row is None:
        raise NotFound(f"no unknown machine {mac[:40]!r}", next_step="it may be a node by now: look at all nodes")
    return row


def _body(sighting: Sighting) -> dict[str, Any]:
    """The API's body from the form; the machine's other network cards come from its own report."""
    form = request.form
    nics = (sighting.report or {}).get("nics", [])
    body: dict[str, Any] = {
        "name": form.get("name", "").strip() or None,
        "driver": form.get("driver", "ipmi"),
        "macs": list(dict.fromkeys([sighting.mac, *(str(nic["mac"]) for nic in nics)])),
    }
    if body["driver"] == "ipmi":
        texts = {key: form.get(f"bmc_{key}", "").strip() or None for key in ("address", "username")}
        body["bmc"] = {**texts, "password": form.get("bmc_password") or None}
    return body
