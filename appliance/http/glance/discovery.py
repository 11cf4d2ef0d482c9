"""Versions, stores and import methods: what a client may find out before it begins. Only what is real is listed."""

from typing import Any

from flask import Response, g

from appliance.domain.errors import Forbidden, NotFound
from appliance.domain.images import rules_all
from appliance.http.context import Context
from appliance.http.glance.present import STORE
from appliance.http.glance.schemas import ALL
from appliance.http.json_body import reply
from appliance.http.own_address import base_url
from appliance.services import image_catalog, image_search

# 2.14 and 2.16 manage a cache, which we have not; 2.17 registers places of bytes elsewhere, which we do not.
MINORS = (15, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
IMPORT_METHODS = ("glance-direct", "web-download")
_LOCAL = {"id": STORE, "description": "The appliance's own disk", "default": "true"}


def versions(context: Context, status: int = 300) -> Response:
    links = [{"rel": "self", "href": f"{base_url(context.config)}/image/v2/"}]
    listed = [
        {"id": f"v2.{minor}", "status": "CURRENT" if minor == MINORS[0] else "SUPPORTED", "links": links}
        for minor in MINORS
    ]
    return reply({"versions": listed}, status)


def schema(name: str) -> Response:
    if name not in ALL:
        raise NotFound(f"no schema {name[:60]!r}", why=f"there are {', '.join(ALL)}")
    return reply(ALL[name])


def imports() -> Response:
    methods: Any = {"description": "Import methods available.", "type": "array", "value": list(IMPORT_METHODS)}
    return reply({"import-methods": methods})


def stores() -> Response:
    return reply({"stores": [_LOCAL]})


def stores_detail() -> Response:
    """What it tells beyond `stores` is for administrators."""
    if not rules_all(g.actor):
        raise Forbidden("You are not authorized to complete stores_info_detail action.")
    return reply({"stores": [_LOCAL | {"type": "file", "weight": 0, "properties": {}}]})


def usage(context: Context) -> Response:
    with context.database.read() as session:
        found = image_search.usage(session, g.actor)
    return reply({"usage": {name: {"usage": value, "limit": -1} for name, value in found.items()}})


def delete_from_store(context: Context, store: str, uuid: str) -> Response:
    """There is one store, and what lies in one store alone cannot be taken out of it."""
    with context.database.read() as session:
        image_catalog.find(session, g.actor, uuid)
    if store != STORE:
        raise NotFound(f"Image {uuid} is not stored in store {store[:60]}.")
    raise Forbidden("Cannot delete image data from the only store containing it. Consider deleting the image instead.")
