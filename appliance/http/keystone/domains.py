"""/v3/domains."""

from flask import Response

from appliance.domain.access import Role
from appliance.http.json_body import reply
from appliance.http.keystone import present
from appliance.http.keystone.policy import demand, domain, site
from appliance.http.keystone.tags import read_tags
from appliance.http.keystone.wire import (
    Ask,
    Given,
    Listing,
    Route,
    collection,
    envelope,
    find_rows,
    matching_id,
    no_content,
)
from appliance.models.identity import Domain, Project
from appliance.services.identity import domains

OPTIONS: dict[str, type] = {"immutable": bool}
LISTING = Listing(
    model=Domain, columns={"name": Domain.name, "enabled": Domain.is_enabled, "id": Domain.id},
    order=(Domain.name, Domain.id),
)  # fmt: skip


def _list(ask: Ask) -> Response:
    scope = ask.actor.domain_id
    demand(site(ask.actor, Role.READER) or domain(ask.actor, scope, Role.READER), "list_domains")
    where = [] if scope is None else [Domain.id == scope]
    rows, more = find_rows(ask, LISTING, *where)
    return collection(ask, "domains", [present.domain(ask, row) for row in rows], "domains", more=more)


def _show(ask: Ask, domain_id: str) -> Response:
    project = ask.session.get(Project, ask.actor.project_id) if ask.actor.project_id else None
    is_home = project is not None and project.domain_id == domain_id
    demand(site(ask.actor, Role.READER) or ask.actor.domain_id == domain_id or is_home, "get_domain")
    return reply({"domain": present.domain(ask, domains.fetch(ask.session, domain_id))})


def read(given: Given, *, is_new: bool) -> None:
    given.name(64, required=is_new)
    given.text("description")
    given.flag("enabled", "is_enabled")
    given.options(OPTIONS)
    read_tags(given)
    given.rest()


def _create(ask: Ask) -> Response:
    demand(site(ask.actor, Role.ADMIN), "create_domain")
    given = Given(envelope("domain"))
    given.take("explicit_domain_id")
    read(given, is_new=True)
    row = domains.create(ask.session, name=given.columns.pop("name"), columns=given.columns)
    return reply({"domain": present.domain(ask, row)}, 201)


def _update(ask: Ask, domain_id: str) -> Response:
    demand(site(ask.actor, Role.ADMIN), "update_domain")
    row, body = domains.fetch(ask.session, domain_id), envelope("domain")
    matching_id(body, domain_id)
    given = Given(body)
    read(given, is_new=False)
    longest = ask.context.tokens.policy.longest
    domains.update(ask.session, row, given.columns, now=ask.now, longest=longest)
    return reply({"domain": present.domain(ask, row)})


def _delete(ask: Ask, domain_id: str) -> Response:
    demand(site(ask.actor, Role.ADMIN), "delete_domain")
    domains.remove(ask.session, domains.fetch(ask.session, domain_id))
    return no_content()


ROUTES = [
    Route(method="GET", rule="/domains", view=_list),
    Route(method="POST", rule="/domains", view=_create),
    Route(method="GET", rule="/domains/<domain_id>", view=_show),
    Route(method="PATCH", rule="/domains/<domain_id>", view=_update),
    Route(method="DELETE", rule="/domains/<domain_id>", view=_delete),
]
