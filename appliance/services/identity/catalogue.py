"""Regions, services and endpoints: what clients find services by."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain.errors import Conflict, Forbidden, Invalid
from appliance.models.catalogue import CatalogueEndpoint, Region, Service
from appliance.models.columns import new_hex
from appliance.services.identity import fields
from appliance.services.identity.fields import Columns


def region(session: Session, region_id: str) -> Region:
    return fields.fetch(session, Region, region_id, "region")


def service(session: Session, service_id: str) -> Service:
    return fields.fetch(session, Service, service_id, "service")


def endpoint(session: Session, endpoint_id: str) -> CatalogueEndpoint:
    return fields.fetch(session, CatalogueEndpoint, endpoint_id, "endpoint")


def create_region(session: Session, region_id: str, columns: Columns) -> Region:
    """region_id: empty for a random one. Raises Conflict, NotFound for the parent."""
    if region_id and session.get(Region, region_id) is not None:
        raise Conflict(f"Conflict occurred attempting to store region - Duplicate ID, {region_id[:64]}.")
    _check_parent(session, region_id, columns)
    row = Region(id=region_id or new_hex(), extra={})
    fields.apply(row, columns)
    session.add(row)
    session.flush()
    return row


def update_region(session: Session, row: Region, columns: Columns) -> None:
    _check_parent(session, row.id, columns)
    fields.apply(row, columns)
    session.flush()


def _check_parent(session: Session, region_id: str, columns: Columns) -> None:
    parent_id = columns.get("parent_id")
    for _ in range(64):
        if parent_id is None:
            return
        if parent_id == region_id:
            break
        parent_id = region(session, parent_id).parent_id
    raise Invalid(f"The specified parent region {columns['parent_id']} would create a circular region hierarchy.")


def remove_region(session: Session, row: Region) -> None:
    """Raises Forbidden while something is in it."""
    has_endpoints = select(CatalogueEndpoint.id).where(CatalogueEndpoint.region_id == row.id).limit(1)
    has_regions = select(Region.id).where(Region.parent_id == row.id).limit(1)
    if session.scalar(has_endpoints) is not None or session.scalar(has_regions) is not None:
        raise Forbidden(f"Unable to delete region {row.id} because it or its child regions have associated endpoints.")
    session.delete(row)


def create_service(session: Session, columns: Columns) -> Service:
    row = Service(extra={})
    fields.apply(row, columns)
    session.add(row)
    session.flush()
    return row


def update_service(session: Session, row: Service, columns: Columns) -> None:
    _refuse_ours(row, columns)
    fields.apply(row, columns)
    session.flush()


def remove_service(session: Session, row: Service) -> None:
    _refuse_ours(row)
    session.delete(row)


def create_endpoint(session: Session, columns: Columns) -> CatalogueEndpoint:
    """Raises Invalid when service or region are not there."""
    _check_references(session, columns)
    row = CatalogueEndpoint(extra={})
    fields.apply(row, columns)
    session.add(row)
    session.flush()
    return row


def update_endpoint(session: Session, row: CatalogueEndpoint, columns: Columns) -> None:
    if row.url.startswith("/"):
        _refuse_ours(service(session, row.service_id), columns)
    _check_references(session, columns)
    fields.apply(row, columns)
    session.flush()


def remove_endpoint(session: Session, row: CatalogueEndpoint) -> None:
    if row.url.startswith("/"):
        _refuse_ours(service(session, row.service_id))
    session.delete(row)


def _check_references(session: Session, columns: Columns) -> None:
    if "service_id" in columns and session.get(Service, columns["service_id"]) is None:
        raise Invalid(f"Could not find service: {columns['service_id'][:64]}.")
    if columns.get("region_id") is not None and session.get(Region, columns["region_id"]) is None:
        raise Invalid(f"Could not find region: {columns['region_id'][:64]}.")


def _refuse_ours(row: Service, columns: Columns | None = None) -> None:
    """What the appliance itself serves stays in the catalogue; it may be described anew."""
    if row.is_ours and (columns is None or set(columns) - {"description", "extra"}):
        raise Forbidden(f"The service {row.type} is the appliance's own and cannot be taken away.")
