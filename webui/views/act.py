"""Forms that ask something of a node. What destroys data is confirmed on a page of its own, disks named by serial."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Response, g, make_response, redirect, render_template, request, url_for
from sqlalchemy.orm import Session

from appliance.domain.errors import Invalid, RackwrightError
from appliance.domain.lifecycle import Verb
from appliance.models.node import Inventory, Node
from appliance.services import deployment, images, lifecycle, nodes, power
from bmc.types import PowerAction
from webui import words
from webui.site import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What a form can ask. erases: it destroys what is on the disks. types_name: the name must be typed to confirm."""

    word: str
    title: str
    says: str
    command: str
    erases: bool = False
    types_name: bool = False


DEEDS: Mapping[str, Deed] = {
    "manage": Deed(
        word="Manage", title="Take under management", command="node manage",
        says="The appliance logs in to the BMC and reads the power state.",
    ),
    "inspect": Deed(
        word="Inspect", title="Inspect the hardware", command="node inspect",
        says="The machine is booted from the network unless its agent runs, and reports its hardware.",
    ),
    "adopt": Deed(
        word="Adopt", title="Adopt a running machine", command="node adopt",
        says="The machine becomes active as it is; nothing is written.",
    ),
    "provide": Deed(
        word="Provide", title="Provide: clean and make available", command="node provide", erases=True,
        says="The disks are cleaned, then the node can be deployed.",
    ),
    "clean": Deed(
        word="Clean", title="Clean the disks", command="node clean", erases=True,
        says="The disks are cleaned; the node stays manageable.",
    ),
    "deploy": Deed(
        word="Deploy", title="Deploy an image", command="node deploy", erases=True,
        says="The image is written to the disk and started.",
    ),
    "rebuild": Deed(
        word="Rebuild", title="Write the image anew", command="node rebuild", erases=True, types_name=True,
        says="The disk is written anew with the image below. Everything that the instance stored on it is lost.",
    ),
    "undeploy": Deed(
        word="Undeploy", title="Take the instance away", command="node undeploy", erases=True, types_name=True,
        says="The machine is switched off at once, its disks are erased, and the node becomes available.",
    ),
    "rescue": Deed(
        word="Rescue", title="Boot a rescue system", command="node rescue",
        says="The instance is switched off. A rescue system lets in whoever knows the password: ssh rescue@ADDRESS.",
    ),
    "unrescue": Deed(
        word="Unrescue", title="End the rescue", command="node unrescue",
        says="The machine is switched off and started from its own disk.",
    ),
    "service": Deed(
        word="Service", title="Service an active machine", command="node service",
        says="The instance is interrupted: the agent is booted and holds until Unhold; then the disk is booted.",
    ),
    "unhold": Deed(
        word="Unhold", title="Go on with the work", command="node unhold",
        says="The step after the hold is next.",
    ),
    "abort": Deed(
        word="Abort", title="Stop the work", command="node abort",
        says="The work stops in whatever step it is; the node goes to the failed state of that work.",
    ),
    "power-on": Deed(
        word="Power on", title="Power on", command="node power on", says="The BMC is asked to switch the machine on."
    ),
    "power-off": Deed(
        word="Power off", title="Power off", command="node power off",
        says="The BMC cuts the power at once, without asking the operating system.",
    ),
    "power-cycle": Deed(
        word="Power cycle", title="Power cycle", command="node power cycle",
        says="The BMC cuts the power and restores it, without asking the operating system.",
    ),
    "maintain": Deed(
        word="Set aside", title="Set aside for maintenance", command="node maintenance on",
        says="Nothing new is started on the node until it is taken back.",
    ),
    "end-maintain": Deed(
        word="Take back", title="End the maintenance", command="node maintenance off",
        says="The node takes part again.",
    ),
}  # fmt: skip
POWER = {"power-on": PowerAction.ON, "power-off": PowerAction.OFF, "power-cycle": PowerAction.CYCLE}
_VERBS = frozenset(Verb) - {Verb.ABORT}
AT_ONCE = frozenset({"manage", "inspect", "adopt", "unhold", "power-on", "end-maintain"})
"""Harmless deeds: a button is enough."""


def ask(site: Site, ref: str) -> str:
    """The page that asks for confirmation, or for what a deploy needs."""
    return _form(site, ref, _deed(request.args.get("what", "")), None)


def act(site: Site, ref: str) -> Response:
    """Do it. A refusal is shown on the form, with what was typed still in it."""
    name = _deed(request.form.get("what", ""))
    try:
        label = _do(site, ref, name, DEEDS[name])
    except RackwrightError as refusal:
        return make_response(_form(site, ref, name, refusal), 409)
    return make_response(redirect(url_for("console.node", ref=label)))


def _deed(name: str) -> str:
    if name not in DEEDS:
        raise Invalid(f"{name[:40]!r} cannot be asked here", next_step="go back to the node")
    return name


def _form(site: Site, ref: str, name: str, problem: RackwrightError | None) -> str:
    with site.database.read() as session:
        node = nodes.fetch(session, ref)
        row = session.get(Inventory, node.id)
        usable = [image for image in images.named(session) if image.status == "active" and image.stream is not None]
    disks = row.report.get("disks", []) if row else []
    return render_template(
        "act.html", node=node, name=name, deed=DEEDS[name], disks=disks, images=usable, problem=problem,
        given=request.form, words=words,
    )  # fmt: skip


def _do(site: Site, ref: str, name: str, deed: Deed) -> str:
    spec = _spec(Verb(name)) if name in _VERBS else {}
    examined = deployment.examine(site.database, site.images, ref, spec)
    with site.database.write() as session:
        node = nodes.fetch_to_change(session, ref)
        if deed.types_name and request.form.get("confirm", "").strip() != node.label:
            raise Invalid("the name that was typed is not the node's", next_step=f"type {node.label} to confirm")
        _request(site, session, node, name, spec=spec, examined=examined)
        label, node_id = node.label, node.id
    if name in POWER:
        site.background.submit(power.carry_out, site.database, site.connect, node_id, POWER[name], site.clock)
    return label


def _request(
    site: Site, session: Session, node: Node, name: str, *, spec: dict[str, Any], examined: deployment.Examined | None
) -> None:
    actor, now = g.actor.name, site.clock()
    if name in POWER:
        power.ask(session, node, POWER[name], actor=actor, now=now)
    elif name == "abort":
        lifecycle.abort(session, node=node, actor=actor, now=now)
    elif name in ("maintain", "end-maintain"):
        reason = request.form.get("reason", "").strip()[:255] or None
        nodes.set_maintenance(session, node, on=name == "maintain", reason=reason, actor=actor, now=now)
    else:
        verb = Verb(name)
        checked = deployment.check(session, site.vault, site.images, node, verb=verb, spec=spec, examined=examined)
        lifecycle.request(session, node=node, verb=verb, spec=checked, actor=actor, now=now)


def _spec(verb: Verb) -> dict[str, Any]:
    """The fields of the form as the API's body has them; what was left empty is left out."""
    form = request.form
    if verb is Verb.CLEAN:
        return {"method": form.get("method", "metadata")}
    if verb is Verb.RESCUE:
        return {"rescue_password": form.get("rescue_password", "")}
    if verb is Verb.SERVICE:
        return {"service_steps": [{"interface": "power", "step": "hold"}]}
    if verb not in (Verb.DEPLOY, Verb.REBUILD):
        return {}
    spec: dict[str, Any] = {key: form[key] for key in ("image", "hostname", "user_data") if form.get(key, "").strip()}
    keys = [line.strip() for line in form.get("ssh_keys", "").splitlines() if line.strip()]
    return spec | {"ssh_keys": keys} if keys or verb is Verb.DEPLOY else spec
