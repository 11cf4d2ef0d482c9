"""/v1/deploy_templates."""

from typing import Any

from flask import Response
from sqlalchemy import select

from appliance.domain import step_input, traits
from appliance.http.ironic import pages, policy, readers, secrets_masked, shelf
from appliance.http.ironic.call import Call, Route
from appliance.http.ironic.kinds import Attribute, Kind
from appliance.http.json_body import nothing
from appliance.models.deploy_template import DeployTemplate
from appliance.services import deploy_templates

SINCE = 55


def _read_steps(name: str, value: Any) -> Any:
    secrets_masked.refuse_masks(name, value)
    return readers.checked(step_input.template_steps)(name, value)


KIND = Kind(
    word="deploy template", path="deploy_templates", key="deploy_templates", model=DeployTemplate,
    brief=("uuid", "name"), required=("name", "steps"),
    attributes={
        "uuid": Attribute(read=readers.uuid, is_fixed=True),
        "name": Attribute(read=readers.checked(traits.trait)),
        "steps": Attribute(read=_read_steps),
        "extra": Attribute(read=readers.mapping),
    },
    sortable={
        "uuid": DeployTemplate.uuid, "name": DeployTemplate.name, "created_at": DeployTemplate.created_at,
        "updated_at": DeployTemplate.updated_at,
    },
)  # fmt: skip


def routes() -> list[Route]:
    return [
        Route(method="GET", path="/deploy_templates", since=SINCE, view=_list),
        Route(method="POST", path="/deploy_templates", since=SINCE, view=_create),
        Route(method="GET", path="/deploy_templates/<ident>", since=SINCE, view=_show),
        Route(method="PATCH", path="/deploy_templates/<ident>", since=SINCE, view=_change),
        Route(method="DELETE", path="/deploy_templates/<ident>", since=SINCE, view=_delete),
    ]


def _list(call: Call) -> Response:
    call.demand(policy.SYSTEM_READER, "baremetal:deploy_template:get")
    pages.only(call.arguments, frozenset())
    with call.context.database.read() as session:
        return shelf.listing(session, call, KIND, select(DeployTemplate))


def _show(call: Call, ident: str) -> Response:
    call.demand(policy.SYSTEM_READER, "baremetal:deploy_template:get")
    with call.context.database.read() as session:
        return shelf.one(call, KIND, deploy_templates.fetch(session, readers.ident_of_path(ident)))


def _create(call: Call) -> Response:
    call.demand(policy.SYSTEM_ADMIN, "baremetal:deploy_template:create")
    wish = shelf.wish_with_steps(call, KIND)
    with call.context.database.write() as session:
        return shelf.made(call, KIND, deploy_templates.create(session, wish, now=call.context.clock()))


def _change(call: Call, ident: str) -> Response:
    call.demand(policy.SYSTEM_ADMIN, "baremetal:deploy_template:update")
    operations = shelf.operations(call)
    with call.context.database.write() as session:
        row = deploy_templates.fetch(session, readers.ident_of_path(ident))
        changes = shelf.changes_with_steps(call, KIND, row, operations)
        deploy_templates.change(session, row, changes, now=call.context.clock())
        return shelf.one(call, KIND, row)


def _delete(call: Call, ident: str) -> Response:
    call.demand(policy.SYSTEM_ADMIN, "baremetal:deploy_template:delete")
    with call.context.database.write() as session:
        deploy_templates.delete(session, deploy_templates.fetch(session, readers.ident_of_path(ident)))
    return nothing()
