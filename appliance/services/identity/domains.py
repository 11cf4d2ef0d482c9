"""Domains: each holds projects, users and groups of its own."""

from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy import update as sql_update
from sqlalchemy.orm import Session

from appliance.domain.errors import Forbidden
from appliance.models.catalogue import Limit
from appliance.models.grant import Assignment, RoleRow
from appliance.models.identity import DEFAULT_DOMAIN, Domain, Group, Project, User
from appliance.services.identity import bearers, fields, rights
from appliance.services.identity.fields import Columns


def fetch(session: Session, domain_id: str) -> Domain:
    """Raises NotFound."""
    return fields.fetch(session, Domain, domain_id, "domain")


def create(session: Session, *, name: str, columns: Columns) -> Domain:
    fields.refuse_taken(session, Domain.name == name, "project", name)
    domain = Domain(name=name, tags=[], options={}, extra={})
    fields.apply(domain, columns)
    session.add(domain)
    session.flush()
    return domain


def update(session: Session, domain: Domain, columns: Columns, *, now: datetime, longest: timedelta) -> None:
    """A domain that is disabled ends the tokens of its users and those for its projects. Raises LastAdmin."""
    fields.refuse_immutable(domain, "domain", columns)
    if (name := columns.get("name", domain.name)) != domain.name:
        fields.refuse_taken(session, Domain.name == name, "project", name)
    with rights.changing(session):
        if columns.get("is_enabled") is False and domain.is_enabled:
            session.execute(sql_update(User).where(User.domain_id == domain.id).values(generation=User.generation + 1))
            bearers.revoke(session, f"domain:{domain.id}", at=now, until=now + longest)
            for project_id in session.scalars(select(Project.id).where(Project.domain_id == domain.id)):
                bearers.revoke(session, f"project:{project_id}", at=now, until=now + longest)
        fields.apply(domain, columns)


def remove(session: Session, domain: Domain) -> None:
    """Everything in it goes too. Raises Forbidden while it is enabled, LastAdmin."""
    if domain.id == DEFAULT_DOMAIN:
        raise Forbidden("Cannot delete the default domain.")
    fields.refuse_immutable(domain, "domain")
    if domain.is_enabled:
        raise Forbidden("Cannot delete a domain that is enabled, please disable it first.")
    with rights.changing(session):
        _empty(session, domain.id)
        session.delete(domain)


def _empty(session: Session, domain_id: str) -> None:
    users = list(session.scalars(select(User.uuid).where(User.domain_id == domain_id)))
    groups = list(session.scalars(select(Group.id).where(Group.domain_id == domain_id)))
    projects = list(session.scalars(select(Project.id).where(Project.domain_id == domain_id)))
    session.execute(
        delete(Assignment).where(
            ((Assignment.actor_kind == "user") & Assignment.actor_id.in_(users))
            | ((Assignment.actor_kind == "group") & Assignment.actor_id.in_(groups))
            | ((Assignment.target_kind == "project") & Assignment.target_id.in_(projects))
            | ((Assignment.target_kind == "domain") & (Assignment.target_id == domain_id))
        )
    )
    session.execute(delete(Limit).where(Limit.project_key.in_(projects) | (Limit.domain_key == domain_id)))
    session.execute(sql_update(Project).where(Project.domain_id == domain_id).values(parent_id=None))
    for kind in (User, Group, Project, RoleRow):
        session.execute(delete(kind).where(kind.domain_id == domain_id))
