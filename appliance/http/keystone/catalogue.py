"""/v3/regions, /v3/services, /v3/endpoints."""

import re
from typing import Any

from flask import Response, request

from appliance.domain.access import Role
from appliance.domain.errors import Invalid
from appliance.http.json_body import reply
from appliance.http.keystone import present
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
from appliance.models.catalogue import CatalogueEndpoint, Region, Service
from appliance.services.identity import catalogue
from appliance.services.identity.bootstrap import INTERFACES

_REGIONS = Listing(model=Region, columns={"parent_region_id": Region.parent_id}, order=(Region.id, Region.id))
_SERVICES = Listing(
    model=Service, columns={"type": Service.type, "name": Service.name}, order=(Service.type, Service.id)
)
_ENDPOINTS = Listing(
    model=CatalogueEndpoint,
    columns={
        "interface": CatalogueEndpoint.interface, "service_id": CatalogueEndpoint.service_id,
        "region_id": CatalogueEndpoint.region_id, "enabled": CatalogueEndpoint.is_enabled,
    },
    order=(CatalogueEndpoint.service_id, CatalogueEndpoint.id),
)  # fmt: skip
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s]+")


# Regions: anybody who is known may see them ------------------------------------------------------------------------


def _regions(ask: Ask) -> Response:
    rows, more = find_rows(ask, _REGIONS)
    return collection(ask, "regions", [present.region(ask, row) for row in rows], "regions", more=more)


def _region(ask: Ask, region_id: str) -> Response:
    return reply({"region": present.region(ask, catalogue.region(ask.session, region_id))})


def _read_region(given: Given) -> None:
    given.text("description")
    given.reference("parent_region_id", "parent_id", most=255)
    given.take("url")
    given.rest()


def _create_region(ask: Ask, region_id: str = "") -> Response:
    demand(site(ask.actor, Role.ADMIN), "create_region")
    body = envelope("region")
    wanted = body.get("id") or region_id
    if not isinstance(wanted, str) or len(wanted) > 255 or (region_id and wanted != region_id):
        raise Invalid("The region ID in the URL and in the body are not the same")
    given = Given(body)
    _read_region(given)
    row = catalogue.create_region(ask.session, wanted, given.columns)
    return reply({"region": present.region(ask, row)}, 201)


def _update_region(ask: Ask, region_id: str) -> Response:
    demand(site(ask.actor, Role.ADMIN), "update_region")
    row, body = catalogue.region(ask.session, region_id), envelope("region")
    matching_id(body, region_id)
    given = Given(body)
    _read_region(given)
    catalogue.update_region(ask.session, row, given.columns)
    return reply({"region": present.region(ask, row)})


def _delete_region(ask: Ask, region_id: str) -> Response:
    demand(site(ask.actor, Role.ADMIN), "delete_region")
    catalogue.remove_region(ask.session, catalogue.region(ask.session, region_id))
    return no_content()


# Services ----------------------------------------------------------------------------------------------------------


def _services(ask: Ask) -> Response:
    demand(site(ask.actor, Role.READER), "list_services")
    rows, more = find_rows(ask, _SERVICES)
    return collection(ask, "services", [present.service(ask, row) for row in rows], "services", more=more)


def _service(ask: Ask, service_id: str) -> Response:
    demand(site(ask.actor, Role.READER), "get_service")
    return reply({"service": present.service(ask, catalogue.service(ask.session, service_id))})


def _read_service(given: Given, *, is_new: bool) -> None:
    if is_new and not given.has("type"):
        raise Invalid("'type' is a required property")
    given.text("type", most=255, nullable=False)
    given.text("name", most=255)
    given.text("description")
    given.flag("enabled", "is_enabled")
    given.rest()
    if not given.columns.get("type", "x").strip():
        raise Invalid("Invalid input for field 'type': it is empty")


def _create_service(ask: Ask) -> Response:
    demand(site(ask.actor, Role.ADMIN), "create_service")
    given = Given(envelope("service"))
    _read_service(given, is_new=True)
    return reply({"service": present.service(ask, catalogue.create_service(ask.session, given.columns))}, 201)


def _update_service(ask: Ask, service_id: str) -> Response:
    demand(site(ask.actor, Role.ADMIN), "update_service")
    row, body = catalogue.service(ask.session, service_id), envelope("service")
    matching_id(body, service_id)
    given = Given(body)
    _read_service(given, is_new=False)
    catalogue.update_service(ask.session, row, given.columns)
    return reply({"service": present.service(ask, row)})


def _delete_service(ask: Ask, service_id: str) -> Response:
    demand(site(ask.actor, Role.ADMIN), "delete_service")
    catalogue.remove_service(ask.session, catalogue.service(ask.session, service_id))
    return no_content()


# Endpoints ---------------------------------------------------------------------------------------------------------


def _endpoints(ask: Ask) -> Response:
    demand(site(ask.actor, Role.READER), "list_endpoints")
    rows, more = find_rows(ask, _ENDPOINTS)
    region = request.args.get("region")
    shown = [present.endpoint(ask, row) for row in rows if region is None or row.region_id == region]
    return collection(ask, "endpoints", shown, "endpoints", more=more)


def _endpoint(ask: Ask, endpoint_id: str) -> Response:
    demand(site(ask.actor, Role.READER), "get_endpoint")
    return reply({"endpoint": present.endpoint(ask, catalogue.endpoint(ask.session, endpoint_id))})


def _read_endpoint(body: dict[str, Any], *, is_new: bool) -> Given:
    given = Given(body)
    for name in ("interface", "service_id", "url"):
        if is_new and not given.has(name):
            raise Invalid(f"'{name}' is a required property")
    given.text("interface", most=8, nullable=False)
    if given.columns.get("interface", "public") not in INTERFACES:
        raise Invalid(f"Invalid input for field 'interface': one of {', '.join(INTERFACES)}")
    given.text("service_id", most=64, nullable=False)
    given.text("url", most=2048, nullable=False)
    if "url" in given.columns and not _URL.fullmatch(given.columns["url"]):
        raise Invalid(f"Cannot create an endpoint with an invalid URL: {given.columns['url'][:200]}.")
    given.reference("region", "region_id", most=255)  # the older name of the same
    given.reference("region_id", most=255)
    given.flag("enabled", "is_enabled")
    given.rest()
    return given


def _create_endpoint(ask: Ask) -> Response:
    demand(site(ask.actor, Role.ADMIN), "create_endpoint")
    given = _read_endpoint(envelope("endpoint"), is_new=True)
    row = catalogue.create_endpoint(ask.session, given.columns)
    return reply({"endpoint": present.endpoint(ask, row)}, 201)


def _update_endpoint(ask: Ask, endpoint_id: str) -> Response:
    demand(site(ask.actor, Role.ADMIN), "update_endpoint")
    row, body = catalogue.endpoint(ask.session, endpoint_id), envelope("endpoint")
    matching_id(body, endpoint_id)
    catalogue.update_endpoint(ask.session, row, _read_endpoint(body, is_new=False).columns)
    return reply({"endpoint": present.endpoint(ask, row)})


def _delete_endpoint(ask: Ask, endpoint_id: str) -> Response:
    demand(site(ask.actor, Role.ADMIN), "delete_endpoint")
    catalogue.remove_endpoint(ask.session, catalogue.endpoint(ask.session, endpoint_id))
    return no_content()


ROUTES = [
    Route(method="GET", rule="/regions", view=_regions),
    Route(method="POST", rule="/regions", view=_create_region),
    Route(method="GET", rule="/regions/<region_id>", view=_region),
    Route(method="PUT", rule="/regions/<region_id>", view=_create_region),
    Route(method="PATCH", rule="/regions/<region_id>", view=_update_region),
    Route(method="DELETE", rule="/regions/<region_id>", view=_delete_region),
    Route(method="GET", rule="/services", view=_services),
    Route(method="POST", rule="/services", view=_create_service),
    Route(method="GET", rule="/services/<service_id>", view=_service),
    Route(method="PATCH", rule="/services/<service_id>", view=_update_service),
    Route(method="DELETE", rule="/services/<service_id>", view=_delete_service),
    Route(method="GET", rule="/endpoints", view=_endpoints),
    Route(method="POST", rule="/endpoints", view=_create_endpoint),
    Route(method="GET", rule="/endpoints/<endpoint_id>", view=_endpoint),
    Route(method="PATCH", rule="/endpoints/<endpoint_id>", view=_update_endpoint),
    Route(method="DELETE", rule="/endpoints/<endpoint_id>", view=_delete_endpoint),
]
