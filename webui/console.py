"""The console's routes, all of them. Views fetch, present, render; each form ends in the service of its API twin."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, g, make_response, render_template
from sqlalchemy.orm.exc import StaleDataError

from appliance.domain.access import Permission, may
from appliance.domain.errors import Conflict, Forbidden, NotFound, RackwrightError
from webui import words
from webui.session import harden, refuse_other_sites, seen_by
from webui.site import Site
from webui.views import access, act, machines, node, nodes, system

__all__ = ["Site", "blueprint"]

View = Callable[..., Any]


def blueprint(site: Site) -> Blueprint:
    """Everything that operators see in a browser, to be registered beside the native API."""
    console = Blueprint(
        "console", __name__, template_folder="templates", static_folder="static", static_url_path="/static"
    )
    for method, rule, name, view in _routes(site):
        console.add_url_rule(rule, name, view, methods=[method])
    console.register_error_handler(RackwrightError, _refusal)
    console.register_error_handler(StaleDataError, _stale)
    console.before_request(refuse_other_sites)
    console.after_request(harden)
    console.app_context_processor(_shown_everywhere)
    return console


def _routes(site: Site) -> list[tuple[str, str, str, View]]:
    read, known = seen_by(site, Permission.READ), seen_by(site, None)
    operate, configure = seen_by(site, Permission.OPERATE), seen_by(site, Permission.CONFIGURE)
    return [
        ("GET", "/login", "login", access.login_page),
        ("POST", "/login", "log_in", lambda: access.log_in(site)),
        ("POST", "/logout", "log_out", known(lambda: access.log_out(site))),
        ("GET", "/password", "password", known(access.password_page)),
        ("POST", "/password", "change_password", known(lambda: access.change_password(site))),
        ("GET", "/", "home", read(lambda: nodes.page(site))),
        ("GET", "/nodes/<ref>", "node", read(lambda ref: node.overview(site, ref))),
        ("GET", "/nodes/<ref>/events", "node_events", read(lambda ref: node.events_page(site, ref))),
        ("GET", "/nodes/<ref>/hardware", "node_hardware", read(lambda ref: node.hardware(site, ref))),
        ("GET", "/nodes/<ref>/do", "ask", operate(lambda ref: act.ask(site, ref))),
        ("POST", "/nodes/<ref>/do", "act", operate(lambda ref: act.act(site, ref))),
        ("GET", "/unknown", "unknown", read(lambda: machines.page(site))),
        ("GET", "/unknown/<mac>/enroll", "enroll", configure(lambda mac: machines.enroll_page(site, mac))),
        ("POST", "/unknown/<mac>/enroll", "enroll_it", configure(lambda mac: machines.enroll(site, mac))),
        ("GET", "/images", "images", read(lambda: system.images_page(site))),
        ("GET", "/network", "network", read(lambda: system.network_page(site))),
        ("GET", "/activity", "activity", read(lambda: system.activity(site))),
        ("GET", "/health", "health", read(lambda: system.health(site))),
    ]


def _shown_everywhere() -> dict[str, Any]:
    """What every template may use."""
    actor = g.get("actor")
    return {
        "actor": actor,
        "csrf": g.get("csrf"),
        "words": words,
        "may_operate": actor is not None and may(actor.role, Permission.OPERATE),
        "may_configure": actor is not None and may(actor.role, Permission.CONFIGURE),
    }


def _refusal(problem: RackwrightError) -> Response:
    """A page for people instead of the API's JSON."""
    status = 404 if isinstance(problem, NotFound) else 403 if isinstance(problem, Forbidden) else 400
    return make_response(render_template("refused.html", problem=problem), status)


def _stale(_error: StaleDataError) -> Response:
    problem = Conflict("somebody else changed this at the same time", next_step="look again and repeat")
    return make_response(render_template("refused.html", problem=problem), 409)
