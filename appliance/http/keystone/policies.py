"""/v3/policies: rule documents that other services keep here. The appliance stores them and follows none of them."""

from typing import Any

from flask import Response
from sqlalchemy import func, select

from appliance.domain.access import Role
from appliance.domain.errors import Forbidden, Invalid
from appliance.http.json_body import reply
from appliance.http.keystone.policy import demand, site
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
from appliance.models.catalogue import PolicyDocument
from appliance.services.identity import fields

MOST = 200
LARGEST = 65_535
_LISTING = Listing(
    model=PolicyDocument, columns={"type": PolicyDocument.type}, order=(PolicyDocument.type, PolicyDocument.id)
)


def _shown(ask: Ask, row: PolicyDocument) -> dict[str, Any]:
    own = {"id": row.id, "type": row.type, "blob": row.blob, "links": {"self": ask.url(f"policies/{row.id}")}}
    return {**row.extra, **own}


def _fetch(ask: Ask, policy_id: str) -> PolicyDocument:
    return fields.fetch(ask.session, PolicyDocument, policy_id, "policy")


def _read(body: dict[str, Any], *, is_new: bool) -> Given:
    given = Given(body)
    for name, most in (("blob", LARGEST), ("type", 255)):
        if is_new and not given.has(name):
            raise Invalid(f"'{name}' is a required property")
        given.text(name, most=most, nullable=False)
    given.rest()
    return given


def _list(ask: Ask) -> Response:
    demand(site(ask.actor, Role.READER), "list_policies")
    rows, more = find_rows(ask, _LISTING)
    return collection(ask, "policies", [_shown(ask, row) for row in rows], "policies", more=more)


def _show(ask: Ask, policy_id: str) -> Response:
    demand(site(ask.actor, Role.READER), "get_policy")
    return reply({"policy": _shown(ask, _fetch(ask, policy_id))})


def _create(ask: Ask) -> Response:
    demand(site(ask.actor, Role.ADMIN), "create_policy")
    given = _read(envelope("policy"), is_new=True)
    if (ask.session.scalar(select(func.count()).select_from(PolicyDocument)) or 0) >= MOST:
        raise Forbidden(f"Unable to create additional policies, maximum of {MOST} already exceeded.")
    row = PolicyDocument(extra={})
    fields.apply(row, given.columns)
    ask.session.add(row)
    ask.session.flush()
    return reply({"policy": _shown(ask, row)}, 201)


def _update(ask: Ask, policy_id: str) -> Response:
    demand(site(ask.actor, Role.ADMIN), "update_policy")
    row, body = _fetch(ask, policy_id), envelope("policy")
    matching_id(body, policy_id)
    fields.apply(row, _read(body, is_new=False).columns)
    return reply({"policy": _shown(ask, row)})


def _delete(ask: Ask, policy_id: str) -> Response:
    demand(site(ask.actor, Role.ADMIN), "delete_policy")
    ask.session.delete(_fetch(ask, policy_id))
    return no_content()


ROUTES = [
    Route(method="GET", rule="/policies", view=_list),
    Route(method="POST", rule="/policies", view=_create),
    Route(method="GET", rule="/policies/<policy_id>", view=_show),
    Route(method="PATCH", rule="/policies/<policy_id>", view=_update),
    Route(method="DELETE", rule="/policies/<policy_id>", view=_delete),
]
