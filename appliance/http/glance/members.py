"""/v2/images/ID/members: projects with which an image is shared."""

from flask import Response, g

from appliance.domain.errors import Forbidden, Invalid, NotFound
from appliance.http.context import Context
from appliance.http.glance import present
from appliance.http.glance.images import read_object
from appliance.http.json_body import nothing, reply
from appliance.services import image_members


def listing(context: Context, uuid: str) -> Response:
    with context.database.read() as session:
        row, members = image_members.listing(session, g.actor, uuid)
        return reply({"members": [present.member(row, item) for item in members], "schema": "/v2/schemas/members"})


def create(context: Context, uuid: str) -> Response:
    body = read_object()
    if "member" not in body:
        raise Invalid("Member to be added not specified")
    if not isinstance(body["member"], str):
        raise Invalid('Expected a member in the form: {"member": "image_id"}')
    with context.database.write() as session:
        return reply(present.member(*image_members.add(session, g.actor, uuid, body["member"], now=context.clock())))


def show(context: Context, uuid: str, member: str) -> Response:
    with context.database.read() as session:
        try:
            return reply(present.member(*image_members.fetch(session, g.actor, uuid, member)))
        except Forbidden as cause:  # as image services do, which tell nobody whether there is such a member
            raise NotFound(str(cause)) from cause


def update(context: Context, uuid: str, member: str) -> Response:
    body = read_object()
    if not isinstance(body.get("status"), str):
        raise Invalid("Status not specified")
    with context.database.write() as session:
        found = image_members.answer(session, g.actor, uuid, member, body["status"], now=context.clock())
        return reply(present.member(*found))


def delete(context: Context, uuid: str, member: str) -> Response:
    with context.database.write() as session:
        image_members.remove(session, g.actor, uuid, member)
    return nothing()
