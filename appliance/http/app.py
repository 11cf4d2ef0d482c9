"""The three apps of the control process: operators', agents' and netboot's, each on its own listener."""

from collections.abc import Callable
from typing import Any

from flask import Flask
from werkzeug.routing import Rule

from appliance.http import agents, errors, internal
from appliance.http.context import Context
from appliance.http.glance import face as glance
from appliance.http.ironic import face as ironic
from appliance.http.keystone import face as keystone
from appliance.http.native import bmc, images, network, nodes, openapi, system


class _Rule(Rule):
    """Compiles what builds a rule's URL when a URL is asked for, which no face does.

    Werkzeug compiles it for each rule at once; with the rules of four faces that is most of the time that an app takes
    to be made.
    """

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:  # noqa: FBT001, FBT002
        compiled = super()._compile_builder

        def build(rule: Rule, /, **values: Any) -> tuple[str, str]:
            return compiled(append_unknown)(rule, **values)

        return build


class _Synchronous(Flask):
    """No view of ours is a coroutine; Flask would ask each view and each hook, at every request."""

    url_rule_class = _Rule

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return func


def _bare(name: str) -> Flask:
    app = _Synchronous(name, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = None  # each reader caps its own body (appliance.http.json_body)
    app.url_map.strict_slashes = True
    app.url_map.merge_slashes = False  # `//` is another path, not a redirect made of the Host header
    errors.install(app)
    return app


def operator_app(context: Context) -> Flask:
    """The native API of operators and the three OpenStack faces; every route names who may ask."""
    app = _bare("operators")
    for face in (openapi, system, nodes, bmc, network, images, keystone, ironic, glance):
        face.install(app, context)
    return app


def agent_app(context: Context) -> Flask:
    app = _bare("agents")
    agents.install(app, context)
    return app


def internal_app(context: Context) -> Flask:
    app = _bare("internal")
    internal.install(app, context)
    return app
