"""One request as the views of this face see it, and what they answer with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Response, request

from appliance.domain.access import Actor
from appliance.http.context import Context
from appliance.http.ironic import policy, versions
from appliance.http.ironic.policy import Rule


@dataclass(frozen=True, slots=True)
class Call:
    """Who asks, in which version, and at which address of ours. root: `https://HOST:PORT/baremetal`."""

    context: Context
    actor: Actor
    minor: int
    root: str

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

    def demand(self, rule: Rule, name: str, *, owner: str | None = None, lessee: str | None = None) -> None:
        """Refuse (403) who may not. name: of the policy. What the actor cannot see must have been a 404 before."""
        policy.demand(self.actor, rule, name, owner=owner, lessee=lessee)

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
