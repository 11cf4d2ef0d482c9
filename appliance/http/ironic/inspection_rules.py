"""/v1/inspection_rules. Of a sensitive rule nobody is shown what it asks and does."""

from typing import Any

from flask import Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain import inspection_rules as rules
from appliance.http.ironic import pages, policy, readers, shelf
from appliance.http.ironic.call import Call, Route
from appliance.http.ironic.errors import BadRequest
from appliance.http.ironic.kinds import Attribute, Kind
from appliance.http.json_body import nothing
from appliance.models.inspection_rule import InspectionRule
from appliance.services import inspection_rules

SINCE = 96
_HIGHEST = 9999


def _phase(name: str, value: Any) -> str:
    from_client = readers.text(16)(name, value)
    if from_client not in (None, *rules.PHASES):
        raise BadRequest(f"Invalid phase: {from_client}. Valid phases are: {', '.join(rules.PHASES)}")
    return rules.PHASES[0]


def _priority(name: str, value: Any) -> int:
    """A number, or its digits: the stock command sends what was typed."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 9:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value < 0:
        raise BadRequest("Priority cannot be negative for user-defined rules.")
    if isinstance(value, int) and value > _HIGHEST:
        raise BadRequest("Priority must be between 0 and 9999 for user-defined rules.")
    return 0 if value is None else int(readers.number(0, _HIGHEST)(name, value))


def _conditions(value: Any) -> list[dict[str, Any]]:
    return rules.conditions([] if value is None else value)


KIND = Kind(
    word="inspection rule", path="inspection_rules", key="inspection_rules", model=InspectionRule,
    brief=("uuid", "description", "phase", "priority"), required=("actions",),
    attributes={
        "uuid": Attribute(read=readers.uuid, is_fixed=True),
        "description": Attribute(read=readers.text(255)),
        "actions": Attribute(
            read=readers.checked(rules.actions), get=lambda row: None if row.sensitive else row.actions,
            is_masked=True,
        ),
        "conditions": Attribute(
            read=readers.checked(_conditions), get=lambda row: None if row.sensitive else row.conditions,
            is_masked=True,
        ),
        "phase": Attribute(read=_phase),
        "priority": Attribute(read=_priority),
        "scope": Attribute(read=readers.text(255)),
        "sensitive": Attribute(read=readers.flag(otherwise=False)),
    },
    sortable={
        "uuid": InspectionRule.uuid, "description": InspectionRule.description, "phase": InspectionRule.phase,
        "priority": InspectionRule.priority, "created_at": InspectionRule.created_at,
        "updated_at": InspectionRule.updated_at, "scope": InspectionRule.scope,
        "sensitive": InspectionRule.sensitive,
    },
)  # fmt: skip


def routes() -> list[Route]:
    return [
        Route(method="GET", path="/inspection_rules", since=SINCE, view=_list),
        Route(method="POST", path="/inspection_rules", since=SINCE, view=_create),
        Route(method="DELETE", path="/inspection_rules", since=SINCE, view=_delete_all),
        Route(method="GET", path="/inspection_rules/<ident>", since=SINCE, view=_show),
        Route(method="PATCH", path="/inspection_rules/<ident>", since=SINCE, view=_change),
        Route(method="DELETE", path="/inspection_rules/<ident>", since=SINCE, view=_delete),
    ]


def _list(call: Call) -> Response:
    call.demand(policy.SYSTEM_READER, "baremetal:inspection_rule:list_all")
    pages.only(call.arguments, frozenset())
    with call.context.database.read() as session:
        return shelf.listing(session, call, KIND, select(InspectionRule))


def _fetch(session: Session, ident: str) -> InspectionRule:
    return inspection_rules.fetch(session, readers.uuid_of_path("inspection_rule_uuid", ident))


def _show(call: Call, ident: str) -> Response:
    call.demand(policy.SYSTEM_READER, "baremetal:inspection_rule:get")
    with call.context.database.read() as session:
        return shelf.one(call, KIND, _fetch(session, ident))


def _create(call: Call) -> Response:
    call.demand(policy.SYSTEM_ADMIN, "baremetal:inspection_rule:create")
    wish = shelf.wish(call, KIND)
    with call.context.database.write() as session:
        row = inspection_rules.create(session, call.context.vault, wish, now=call.context.clock())
        return shelf.made(call, KIND, row)


def _change(call: Call, ident: str) -> Response:
    call.demand(policy.SYSTEM_ADMIN, "baremetal:inspection_rule:update")
    operations = shelf.operations(call)
    with call.context.database.write() as session:
        row = _fetch(session, ident)
        vault = call.context.vault
        changes = KIND.changes(row, operations, call.minor, opened=inspection_rules.opened(vault, row))
        inspection_rules.change(session, vault, row, changes, now=call.context.clock())
        return shelf.one(call, KIND, row)


def _delete(call: Call, ident: str) -> Response:
    call.demand(policy.SYSTEM_ADMIN, "baremetal:inspection_rule:delete")
    with call.context.database.write() as session:
        inspection_rules.delete(session, _fetch(session, ident))
    return nothing()


def _delete_all(call: Call) -> Response:
    call.demand(policy.SYSTEM_ADMIN, "baremetal:inspection_rule:delete")
    with call.context.database.write() as session:
        inspection_rules.delete_all(session)
    return nothing()
