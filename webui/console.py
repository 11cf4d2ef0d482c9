"""The console's routes. Each view fetches, presents, renders; each form ends in the service that its API twin calls."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, g, make_response, redirect, render_template, request, url_for
from sqlalchemy.orm import Session

from appliance.domain.access import Permission
from appliance.domain.errors import Forbidden, NotFound, RackwrightError
from appliance.domain.lifecycle import Verb
from appliance.models.database import Database
from appliance.models.image import Image
from appliance.models.node import Inventory, Node
from appliance.services import deployment, events, identity, images, lifecycle, network, nodes
from appliance.services.image_store import ImageStore
from appliance.services.vault import Vault
from webui import present
from webui.session import forget, harden, remember, seen_by

FORM_VERBS = {
    "manage": Verb.MANAGE,
    "inspect": Verb.INSPECT,
    "provide": Verb.PROVIDE,
    "deploy": Verb.DEPLOY,
    "undeploy": Verb.UNDEPLOY,
}


class Console:
    """The views, with what they need handed in."""

    def __init__(
        self,
        *,
        database: Database,
        vault: Vault,
        images: ImageStore,
        clock: Callable[[], datetime],
        login_policy: identity.Policy,
    ) -> None:
        self._database, self._vault, self._images = database, vault, images
        self._clock, self._login_policy = clock, login_policy

    def blueprint(self) -> Blueprint:
        site = Blueprint(
            "console", __name__, template_folder="templates", static_folder="static", static_url_path="/static"
        )
        read = seen_by(self._database, self._clock, Permission.READ)
        operate = seen_by(self._database, self._clock, Permission.OPERATE)
        site.add_url_rule("/login", "login", self.login_page, methods=["GET"])
        site.add_url_rule("/login", "log_in", self.log_in, methods=["POST"])
        site.add_url_rule("/logout", "log_out", read(self.log_out), methods=["POST"])
        site.add_url_rule("/", "home", read(self.nodes_page), methods=["GET"])
        site.add_url_rule("/nodes/<ref>", "node", read(self.node_page), methods=["GET"])
        site.add_url_rule("/nodes/<ref>/do", "act", operate(self.act), methods=["POST"])
        site.add_url_rule("/images", "images", read(self.images_page), methods=["GET"])
        site.add_url_rule("/network", "network", read(self.network_page), methods=["GET"])
        site.register_error_handler(RackwrightError, self.refusal_page)
        site.after_request(harden)
        return site

    def refusal_page(self, problem: RackwrightError) -> Response:
        """A page for people instead of the API's JSON."""
        status = 404 if isinstance(problem, NotFound) else 403 if isinstance(problem, Forbidden) else 400
        return make_response(render_template("refused.html", problem=problem, actor=g.get("actor")), status)

    def login_page(self) -> str:
        return render_template("login.html", problem=None)

    def log_in(self) -> Response:
        try:
            granted = identity.login(
                self._database, name=request.form.get("username", ""), password=request.form.get("password", ""),
                now=self._clock(), policy=self._login_policy, source=request.remote_addr or "",
            )  # fmt: skip
        except RackwrightError as refusal:
            return make_response(render_template("login.html", problem=refusal), 401)
        response = make_response(redirect(url_for("console.home")))
        remember(response, granted.token, int(self._login_policy.token_lifetime.total_seconds()))
        return response

    def log_out(self) -> Response:
        with self._database.write() as session:
            identity.logout(session, request.cookies.get("rackwright", ""))
        response = make_response(redirect(url_for("console.login")))
        forget(response)
        return response

    def nodes_page(self) -> str:
        state = request.args.get("state") or None
        with self._database.read() as session:
            found = nodes.listing(session, nodes.Filter(state=state, limit=nodes.PAGE_MAX))
            rows = [self._row(session, node) for node in found]
            counts = nodes.counts(session)
        return render_template("nodes.html", rows=rows, counts=counts, state=state, group=present.group, actor=g.actor)

    def _row(self, session: Session, node: Node) -> dict[str, Any]:
        colour, sign = present.group(node.provision_state)
        is_busy = colour == "busy"
        return {
            "node": node,
            "colour": colour,
            "sign": sign,
            "since": present.ago(node.provision_updated_at, self._clock()),
            "waiting": lifecycle.waiting(session, node) if is_busy else None,
        }

    def node_page(self, ref: str) -> str:
        return self._node_page(ref, None)

    def _node_page(self, ref: str, problem: RackwrightError | None) -> str:
        with self._database.read() as session:
            node = nodes.fetch(session, ref)
            log = events.of_node(session, node, after=0, limit=1000)
            report = session.get(Inventory, node.id)
            usable = [row.name for row in images.listing(session) if row.status == "active"]
            explanation = lifecycle.why(session, node, now=self._clock())
            row = self._row(session, node)
        return render_template(
            "node.html", node=node, row=row, why=explanation, bars=present.bars(log), log=list(reversed(log))[:200],
            report=report.report if report else None, images=usable, problem=problem, actor=g.actor, csrf=g.csrf,
        )  # fmt: skip

    def act(self, ref: str) -> Response:
        """One verb from a form; a refusal is shown on the page with its reason and next step."""
        try:
            with self._database.write() as session:
                self._request(session, nodes.fetch(session, ref), request.form.get("verb", ""))
        except RackwrightError as refusal:
            return make_response(self._node_page(ref, refusal), 409)
        return make_response(redirect(url_for("console.node", ref=ref)))

    def _request(self, session: Session, node: Node, verb: str) -> None:
        if verb == "abort":
            lifecycle.abort(session, node=node, actor=g.actor.name, now=self._clock())
            return
        spec: dict[str, Any] = {}
        if verb == "deploy":
            keys = [line for line in request.form.get("ssh_keys", "").splitlines() if line.strip()]
            spec = {"image": request.form.get("image", ""), "ssh_keys": keys}
            spec |= {key: request.form[key] for key in ("hostname", "user_data") if request.form.get(key, "").strip()}
        asked = FORM_VERBS.get(verb, Verb.MANAGE)
        checked = deployment.check(session, self._vault, self._images, node, verb=asked, spec=spec)
        lifecycle.request(session, node=node, verb=asked, spec=checked, actor=g.actor.name, now=self._clock())

    def images_page(self) -> str:
        with self._database.read() as session:
            found: list[Image] = list(images.listing(session))
        return render_template("images.html", images=found, actor=g.actor, csrf=g.get("csrf"))

    def network_page(self) -> str:
        with self._database.read() as session:
            subnets, leases = network.subnets(session), network.leases(session)
        return render_template("network.html", subnets=subnets, leases=leases, actor=g.actor)
