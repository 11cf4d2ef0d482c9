"""/baremetal: OpenStack Bare Metal v1 over the appliance's own services.

How a module of routes registers itself: it has `def routes() -> list[Route]` (appliance.http.ironic.call) and stands in
MODULES below; when it is a resource of its own it also stands in RESOURCES, with the version that brought it. A view
takes the `Call` and the parts of its path and returns a `Response`; what it raises (appliance.domain.errors, BmcError,
ironic.errors.BadRequest, ironic.versions.NotAcceptable) is said in this face's shape. Token, version, request ids and
version headers are done here, for every route alike.
"""

import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

from flask import Flask, Response, g, request

from appliance.domain.access import Actor, Role
from appliance.domain.errors import NotFound
from appliance.http import errors as refusals
from appliance.http.auth import known_caller
from appliance.http.context import Context
from appliance.http.ironic import (
    allocations,
    chassis,
    conductors,
    deploy_templates,
    drivers,
    errors,
    indicators,
    inspection_rules,
    management,
    node_absent,
    node_past,
    node_traits,
    nodes,
    policy,
    portgroups,
    ports,
    provision,
    roots,
    runbooks,
    states,
    versions,
    vifs,
    vmedia,
    volumes,
)
from appliance.http.ironic.call import Call, Route
from appliance.http.own_address import Origins

PREFIX = "/baremetal"
MODULES: tuple[ModuleType, ...] = (
    nodes, states, provision, management, indicators, vmedia, node_traits, vifs, node_absent, node_past,
    ports, portgroups, chassis, drivers, conductors, volumes, allocations, deploy_templates, runbooks,
    inspection_rules,
)  # fmt: skip
RESOURCES: dict[str, int] = {
    "nodes": 1, "ports": 1, "chassis": 1, "drivers": 1, "portgroups": 23, "volume": 32, "conductors": 49,
    "allocations": 52, "deploy_templates": 55, "shards": 82, "runbooks": 92, "inspection_rules": 96,
}  # fmt: skip
"""What GET /baremetal/v1 lists: name -> since."""
_NOBODY = Actor(name="", role=Role.READER, user_id=0, is_system=False)


def install(app: Flask, context: Context) -> None:
    """Register the routes below `/baremetal`."""
    refusals.speak(app, PREFIX, errors.shape)
    door = _Door(context)
    tops = [
        Route(method="GET", path="", view=roots.top, is_open=True),
        Route(method="GET", path="/v1", view=lambda call: roots.v1(call, RESOURCES), is_open=True),
    ]
    below = [route for module in MODULES for route in module.routes()]
    for route in tops:
        _add(app, door, route, PREFIX + route.path)
    for route in below:
        _add(app, door, route, f"{PREFIX}/v1{route.path}")


def _add(app: Flask, door: "_Door", route: Route, rule: str) -> None:
    """With and without a slash at the end: clients of the field send both."""
    for number, path in enumerate((rule, rule + "/")):
        app.add_url_rule(path, f"ironic {route.method} {rule} {number}", door.serve(route), methods=[route.method])


class _Door:
    """What happens before and after every view of this face."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._origins = Origins(context.config)
        # A rack of dead BMCs takes a quarter of the door's threads at most.
        self._places = threading.BoundedSemaphore(max(1, context.config.api.threads // 4))

    def serve(self, route: Route) -> Callable[..., Response]:
        def view(**arguments: Any) -> Response:
            origin = g.origin = self._origins.of_request()
            actor = _NOBODY if route.is_open else known_caller(self._context).actor
            minor = g.minor = versions.negotiate(request.headers)
            if minor < route.since:
                raise NotFound("The resource could not be found.")
            if actor.role is Role.NONE and not route.is_open:
                raise policy.denied("baremetal")  # lists ask for no role of their own
            response = route.view(Call(self._context, actor, minor, origin + PREFIX, self._places), **arguments)
            errors.sign(response)
            return response

        return view
