"""The console over a pretend appliance, for tests in plain HTML and in a browser."""

from pathlib import Path

from flask import Flask

from appliance.domain.clock import system_clock
from appliance.domain.values import Endpoint
from appliance.http.app import operator_app
from appliance.http.server import TlsServer
from appliance.services import tls
from tests.fakes.appliance import Appliance
from webui import console
from webui.site import Site


def app_of(appliance: Appliance) -> Flask:
    """The operators' API and the console on one address, as the control process has them."""
    context = appliance.context
    site = Site(
        database=context.database, vault=context.vault, images=context.images, clock=context.clock,
        tokens=context.tokens, doctor=_checks, connect=context.connect,
        background=context.background, power_fresh_s=180,
    )  # fmt: skip
    app = operator_app(context)
    app.register_blueprint(console.blueprint(site))
    return app


def _checks(_session):
    return [
        {"name": "database", "ok": True, "detail": "sqlite", "next": ""},
        {"name": "subnets", "ok": False, "detail": "none: DHCP answers nobody", "next": "rackwright subnet list"},
    ]


def https(appliance: Appliance, state: Path) -> TlsServer:
    """The same behind real HTTPS on a free port of 127.0.0.1; `address.port` says which."""
    tls.create_ca(state, "test", system_clock())
    contexts = tls.ServerContexts(state, {"127.0.0.1"}, clock=system_clock)
    return TlsServer(app_of(appliance), Endpoint("127.0.0.1", 0), contexts.context_for, threads=8)
