"""Which endpoints a project's catalogue shows: those chosen for it one by one or by groups; without a choice, all."""

from sqlalchemy import and_, delete, select
from sqlalchemy.orm import Session

from appliance.models.catalogue import CatalogueEndpoint, EndpointGroup, EndpointShown
from appliance.services.identity import fields
from appliance.services.identity.fields import Columns

FILTERS = ("service_id", "region_id", "interface")


def group(session: Session, group_id: str) -> EndpointGroup:
    """Raises NotFound."""
    return fields.fetch(session, EndpointGroup, group_id, "Endpoint Group")


def create_group(session: Session, columns: Columns) -> EndpointGroup:
    row = EndpointGroup(**columns)
    session.add(row)
    session.flush()
    return row


def remove_group(session: Session, row: EndpointGroup) -> None:
    session.execute(delete(EndpointShown).where(EndpointShown.kind == "group", EndpointShown.target_id == row.id))
    session.delete(row)


def in_group(session: Session, row: EndpointGroup) -> list[CatalogueEndpoint]:
    """The endpoints that fit all of its filters."""
    where = [getattr(CatalogueEndpoint, key) == row.filters[key] for key in FILTERS if key in row.filters]
    return list(session.scalars(select(CatalogueEndpoint).where(*where).order_by(CatalogueEndpoint.id)))


def of_project(session: Session, project_id: str) -> set[str] | None:
    """Ids of the endpoints that are shown to the project; None when nothing was chosen, and all are."""
    rows = session.execute(
        select(EndpointShown.kind, EndpointShown.target_id).where(EndpointShown.project_id == project_id)
    ).all()
    if not rows:
        return None
    found = {target for kind, target in rows if kind == "endpoint"}
    for kind, target in rows:
        chosen = session.get(EndpointGroup, target) if kind == "group" else None
        if chosen is not None:
            found |= {row.id for row in in_group(session, chosen)}
    return found


def has(session: Session, project_id: str, kind: str, target_id: str) -> bool:
    return session.get(EndpointShown, (project_id, kind, target_id)) is not None


def show(session: Session, project_id: str, kind: str, target_id: str) -> None:
    if not has(session, project_id, kind, target_id):
        session.add(EndpointShown(project_id=project_id, kind=kind, target_id=target_id))


def hide(session: Session, project_id: str, kind: str, target_id: str) -> bool:
    """False when it was not shown."""
    row = session.get(EndpointShown, (project_id, kind, target_id))
    if row is not None:
        session.delete(row)
    return row is not None


def targets(session: Session, project_id: str, kind: str) -> list[str]:
    here = and_(EndpointShown.project_id == project_id, EndpointShown.kind == kind)
    return list(session.scalars(select(EndpointShown.target_id).where(here).order_by(EndpointShown.target_id)))


def projects_of(session: Session, kind: str, target_id: str) -> list[str]:
    here = and_(EndpointShown.kind == kind, EndpointShown.target_id == target_id)
    return list(session.scalars(select(EndpointShown.project_id).where(here).order_by(EndpointShown.project_id)))
