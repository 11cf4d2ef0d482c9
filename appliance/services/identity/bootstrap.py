"""What every appliance has at first: domain Default, project admin, our roles, our faces in the catalogue."""

from itertools import pairwise

from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain.access import ADMIN_PROJECT, Role
from appliance.models.catalogue import CatalogueEndpoint, Region, Service
from appliance.models.grant import Implication, RoleRow
from appliance.models.identity import DEFAULT_DOMAIN, Domain, Project

REGION = "RegionOne"
FACES = {
    "identity": ("keystone", "/identity/v3"),
    "baremetal": ("ironic", "/baremetal"),
    "image": ("glance", "/image"),
}
"""Type to name and path: the names by which clients know these services."""

INTERFACES = ("public", "internal", "admin")
SERVICE_ROLE = "service"


def ensure(session: Session) -> None:
    """Make what is not there. What is there stays as it is."""
    if session.get(Domain, DEFAULT_DOMAIN) is None:
        session.add(
            Domain(id=DEFAULT_DOMAIN, name="Default", description="The default domain", tags=[], options={}, extra={})
        )
        session.flush()
    admin_project(session)
    _roles(session)
    _faces(session)


def admin_project(session: Session) -> Project:
    here = (Project.domain_id == DEFAULT_DOMAIN) & (Project.name == ADMIN_PROJECT)
    project = session.scalar(select(Project).where(here))
    if project is None:
        text = "Its administrators administer the appliance."
        project = Project(domain_id=DEFAULT_DOMAIN, name=ADMIN_PROJECT, description=text, tags=[], options={}, extra={})
        session.add(project)
        session.flush()
    return project


def _roles(session: Session) -> None:
    """Admin implies manager implies member implies reader."""
    there = {row.name: row for row in session.scalars(select(RoleRow).where(RoleRow.domain_id == ""))}
    order = [role.value for role in reversed(Role) if role is not Role.NONE]
    for name in (*order, SERVICE_ROLE):
        if name not in there:
            there[name] = RoleRow(name=name, options={"immutable": True}, extra={})
            session.add(there[name])
    session.flush()
    for prior, implied in pairwise(order):
        pair = (there[prior].id, there[implied].id)
        if session.get(Implication, pair) is None:
            session.add(Implication(prior_id=pair[0], implied_id=pair[1]))
    session.flush()


def _faces(session: Session) -> None:
    if session.get(Region, REGION) is None:
        session.add(Region(id=REGION, description="", extra={}))
        session.flush()
    there = set(session.scalars(select(Service.type).where(Service.is_ours)))
    for kind, (name, path) in FACES.items():
        if kind in there:
            continue
        service = Service(type=kind, name=name, is_ours=True, extra={})
        session.add(service)
        session.flush()
        for interface in INTERFACES:
            session.add(
                CatalogueEndpoint(service_id=service.id, region_id=REGION, interface=interface, url=path, extra={})
            )
    session.flush()
