"""One request as the views of this face see it, and what they answer with."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from flask import Response, request

from appliance.domain.access import Actor
from appliance.domain.errors import Unavailable
from appliance.http.context import Context
from appliance.http.ironic import policy, versions
from appliance.http.ironic.errors import BadRequest
from appliance.http.ironic.policy import Rule
from appliance.models.node import Node
from bmc.api import Bmc


@dataclass(frozen=True, slots=True)
class Call:
    """Who asks, in which version, and at which address of ours. root: `https://HOST:PORT/baremetal`."""

    context: Context
    actor: Actor
    minor: int
    root: str
    places: threading.Semaphore

    @property
    def v1(self) -> str:
        return f"{self.root}/v1"

    @property
    def arguments(self) -> Mapping[str, str]:
        """The query string; of a repeated name the first counts."""
        return request.args

    def require(self, since: int) -> None:
        """Refuse (406) what came later than the version that this request speaks."""
        versions.require(self.minor, since)

    def require_for(self, what: str, since: int) -> None:
        """Refuse (400) a form of a value that came later. what: as in "Providing … is only supported"."""
        if self.minor < since:
            raise BadRequest(f"{what} is only supported starting with API version 1.{since}")

    def demand(self, rule: Rule, name: str, *, owner: str | None = None, lessee: str | None = None) -> None:
        """Refuse (403) who may not. name: of the policy. What the actor cannot see must have been a 404 before."""
        policy.demand(self.actor, rule, name, owner=owner, lessee=lessee)

    @contextmanager
    def bmc(self, node: Node) -> Iterator[Bmc]:
        """The node's BMC, in one of the few places for requests that wait for one; without a place, 503 at once.

        No transaction may be open: a BMC takes seconds.
        """
        if not self.places.acquire(blocking=False):
            raise Unavailable("too many BMCs are being asked at once", next_step="try again")
        try:
            yield self.context.connect(node)
        finally:
            self.places.release()

    @staticmethod
    def show(value: Any, status: int = 200) -> Response:
        """JSON, in which a time without a zone is one of UTC."""
        return Response(orjson.dumps(value, option=orjson.OPT_NAIVE_UTC), status=status, mimetype="application/json")

    def links(self, *path: str) -> list[dict[str, str]]:
        """`self` and `bookmark` of a resource, as `links("nodes", uuid)`."""
        tail = "/".join(path)
        return [
            {"href": f"{self.root}/v1/{tail}", "rel": "self"},
            {"href": f"{self.root}/{tail}", "rel": "bookmark"},
        ]


View = Callable[..., Response]
"""`view(call, **parts of the path) -> Response`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one path below `/baremetal/v1`, such as `/nodes/<ident>`.

    since: the version that brought it; before, there is nothing there (404). is_open: no token is asked for (the view
    gets a `call` whose actor is nobody: see face).
    """

    method: str
    path: str
    view: View
    since: int = versions.MINIMUM
    is_open: bool = False


Body = dict[str, Any]
