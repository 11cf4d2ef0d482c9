"""/v3/roles and what they imply."""

from typing import Any

from flask import Response, request

from appliance.domain.access import Role
from appliance.domain.errors import Invalid, NotFound
from appliance.http.json_body import reply
from appliance.http.keystone import present
from appliance.http.keystone.policy import GRANTED_BY_MANAGERS, demand, domain, maybe, site
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
from appliance.models.grant import RoleRow
from appliance.services.identity import domains, roles

OPTIONS: dict[str, type] = {"immutable": bool}
_LISTING = Listing(
    model=RoleRow, columns={"name": RoleRow.name, "domain_id": RoleRow.domain_id}, order=(RoleRow.name, RoleRow.id)
)


def _list(ask: Ask) -> Response:
    is_manager = domain(ask.actor, ask.actor.domain_id, Role.MANAGER)
    demand(site(ask.actor, Role.READER) or is_manager, "list_roles")
    wanted = request.args.get("domain_id")
    if wanted and not site(ask.actor, Role.READER) and wanted != ask.actor.domain_id:
        demand(False, "list_domain_roles")
    where = [] if wanted else [RoleRow.domain_id == ""]  # those of all domains, unless one is named
    rows, more = find_rows(ask, _LISTING, *where)
    return collection(ask, "roles", [present.role(ask, row) for row in rows], "roles", more=more)


def _show(ask: Ask, role_id: str) -> Response:
    row = maybe(lambda: roles.fetch(ask.session, role_id))
    is_handed_on = row is not None and row.name in GRANTED_BY_MANAGERS and not row.domain_id
    is_manager = domain(ask.actor, ask.actor.domain_id, Role.MANAGER)
    demand(site(ask.actor, Role.READER) or (is_manager and is_handed_on), "get_role")
    return reply({"role": present.role(ask, roles.fetch(ask.session, role_id))})


def _read(given: Given, *, is_new: bool) -> None:
    given.name(255, required=is_new)
    given.text("description")
    given.options(OPTIONS)
    given.take("domain_id")
    given.rest()


def _create(ask: Ask) -> Response:
    demand(site(ask.actor, Role.ADMIN), "create_role")
    body = envelope("role")
    given = Given(body)
    _read(given, is_new=True)
    domain_id = body.get("domain_id") or ""
    if not isinstance(domain_id, str) or len(domain_id) > 64:
        raise Invalid("Invalid input for field 'domain_id': an id")
    if domain_id:
        domains.fetch(ask.session, domain_id)
    row = roles.create(ask.session, name=given.columns.pop("name"), domain_id=domain_id, columns=given.columns)
    return reply({"role": present.role(ask, row)}, 201)


def _update(ask: Ask, role_id: str) -> Response:
    demand(site(ask.actor, Role.ADMIN), "update_role")
    row, body = roles.fetch(ask.session, role_id), envelope("role")
    matching_id(body, role_id)
    if (body.get("domain_id") or "") != row.domain_id and "domain_id" in body:
        raise Invalid("Cannot change Domain ID")
    given = Given(body)
    _read(given, is_new=False)
    roles.update(ask.session, row, given.columns)
    return reply({"role": present.role(ask, row)})


def _delete(ask: Ask, role_id: str) -> Response:
    demand(site(ask.actor, Role.ADMIN), "delete_role")
    roles.remove(ask.session, roles.fetch(ask.session, role_id))
    return no_content()


def _short(ask: Ask, row: RoleRow) -> dict[str, Any]:
    return {"id": row.id, "name": row.name, "links": {"self": ask.url(f"roles/{row.id}")}}


def _inferences(ask: Ask) -> Response:
    demand(site(ask.actor, Role.READER), "list_role_inference_rules")
    shown = [
        {
            "prior_role": _short(ask, roles.fetch(ask.session, prior)),
            "implies": [_short(ask, roles.fetch(ask.session, one)) for one in implied],
        }
        for prior, implied in roles.implications(ask.session).items()
    ]
    return reply({"role_inferences": shown})


def _implied(ask: Ask, prior_id: str) -> Response:
    demand(site(ask.actor, Role.READER), "list_implied_roles")
    prior = roles.fetch(ask.session, prior_id)
    implied = roles.implications(ask.session, prior.id).get(prior.id, [])
    shown = [_short(ask, roles.fetch(ask.session, one)) for one in implied]
    links = {"self": ask.url(f"roles/{prior_id}/implies")}
    return reply({"role_inference": {"prior_role": _short(ask, prior), "implies": shown}, "links": links})


def _check_implied(ask: Ask, prior_id: str, implied_id: str) -> Response:
    demand(site(ask.actor, Role.READER), "get_implied_role")
    prior, implied = roles.fetch(ask.session, prior_id), roles.fetch(ask.session, implied_id)
    if implied.id not in roles.implications(ask.session, prior.id).get(prior.id, []):
        raise NotFound(f"{prior.id} does not imply {implied.id}.")
    return _inference(ask, prior, implied, 200)


def _inference(ask: Ask, prior: RoleRow, implied: RoleRow, status: int) -> Response:
    shown = {"prior_role": _short(ask, prior), "implies": _short(ask, implied)}
    links = {"self": ask.url(f"roles/{prior.id}/implies/{implied.id}")}
    return reply({"role_inference": shown, "links": links}, status)


def _imply(ask: Ask, prior_id: str, implied_id: str) -> Response:
    demand(site(ask.actor, Role.ADMIN), "create_implied_role")
    prior, implied = roles.fetch(ask.session, prior_id), roles.fetch(ask.session, implied_id)
    roles.imply(ask.session, prior, implied)
    return _inference(ask, prior, implied, 201)


def _no_longer_imply(ask: Ask, prior_id: str, implied_id: str) -> Response:
    demand(site(ask.actor, Role.ADMIN), "delete_implied_role")
    roles.no_longer_imply(ask.session, roles.fetch(ask.session, prior_id), roles.fetch(ask.session, implied_id))
    return no_content()


ROUTES = [
    Route(method="GET", rule="/roles", view=_list),
    Route(method="POST", rule="/roles", view=_create),
    Route(method="GET", rule="/roles/<role_id>", view=_show),
    Route(method="PATCH", rule="/roles/<role_id>", view=_update),
    Route(method="DELETE", rule="/roles/<role_id>", view=_delete),
    Route(method="GET", rule="/role_inferences", view=_inferences),
    Route(method="GET", rule="/roles/<prior_id>/implies", view=_implied),
    Route(method="GET", rule="/roles/<prior_id>/implies/<implied_id>", view=_check_implied),
    Route(method="PUT", rule="/roles/<prior_id>/implies/<implied_id>", view=_imply),
    Route(method="DELETE", rule="/roles/<prior_id>/implies/<implied_id>", view=_no_longer_imply),
]
