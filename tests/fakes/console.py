"""The console over a pretend appliance, for tests in plain HTML and in a browser."""

from pathlib import Path
from typing import Any

from flask import Flask

from appliance.domain.clock import system_clock
from appliance.domain.values import Endpoint
from appliance.http.app import operator_app
from appliance.http.context import Context
from appliance.http.server import TlsServer
from appliance.services import tls
from tests.fakes.appliance import Appliance
from webui import console
from webui.site import Site


def app_of(appliance: Appliance) -> Flask:
    """The operators' API and the console on one address, as the control process has them."""
    app = appliance.app(_make)
    site: Site = app.extensions["site"]
    for name, value in _given(appliance.context).items():
        object.__setattr__(site, name, value)
    return app


def _make(context: Context) -> Flask:
    app = operator_app(context)
    app.extensions["site"] = Site(**_given(context), doctor=_checks, power_fresh_s=180)
    app.register_blueprint(console.blueprint(app.extensions["site"]))
    return app


def _given(context: Context) -> dict[str, Any]:
    names = ("database", "vault", "images", "clock", "tokens", "connect", "background")
    return {name: getattr(context, name) for name in names} | {"import_waits_for": context.imports.waits_for}


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
