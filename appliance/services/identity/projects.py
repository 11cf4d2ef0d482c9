"""Projects: a tree in each domain. What is owned there (nodes, images) names the project's id and is not kept here."""

from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from appliance.domain.errors import Forbidden, Invalid
from appliance.models.catalogue import Limit
from appliance.models.grant import Assignment
from appliance.models.identity import Domain, Project
from appliance.services.identity import bearers, fields, rights
from appliance.services.identity.fields import Columns

DEEPEST = 5
"""Levels of projects below a domain (as clients know it)."""


def fetch(session: Session, project_id: str) -> Project:
    """Raises NotFound."""
    return fields.fetch(session, Project, project_id, "project")


def create(session: Session, *, domain_id: str, parent_id: str | None, name: str, columns: Columns) -> Project:
    """parent_id: of a project, of the domain, or None for the domain. Raises Invalid, Forbidden, Conflict."""
    if session.get(Domain, domain_id) is None:
        fields.missing("domain", domain_id)
    parent = _parent(session, domain_id, parent_id)
    if parent is not None and not parent.is_enabled and columns.get("is_enabled", True):
        raise Forbidden(f"Cannot create a project in a branch containing a disabled project: {parent.id}.")
    _refuse_taken(session, domain_id, name)
    project = Project(
        domain_id=domain_id, parent_id=parent.id if parent else None, name=name, tags=[], options={}, extra={}
    )
    fields.apply(project, columns)
    session.add(project)
    session.flush()
    return project


def _parent(session: Session, domain_id: str, parent_id: str | None) -> Project | None:
    if parent_id is None or parent_id == domain_id:
        return None
    parent = session.get(Project, parent_id)
    if parent is None:
        raise Invalid(f"Could not find parent project: {parent_id[:64]}.")
    if parent.domain_id != domain_id:
        raise Invalid("Cannot create a project in another domain than its parent's.")
    if len(rights.ancestors(session, parent)) + 1 >= DEEPEST:
        raise Forbidden(f"Max hierarchy depth reached for {parent.id} branch.")
    return parent


def update(session: Session, project: Project, columns: Columns, *, now: datetime, longest: timedelta) -> None:
    """A project that is disabled ends the tokens for it. Raises Forbidden, Conflict, LastAdmin."""
    fields.refuse_immutable(project, "project", columns)
    if (name := columns.get("name", project.name)) != project.name:
        if rights.is_admin_project(project):
            raise Forbidden("The project admin keeps its name.", why="its administrators administer the appliance")
        _refuse_taken(session, project.domain_id, name)
    if columns.get("is_enabled") is False:
        if any(below.is_enabled for below in rights.subtree(session, project)):
            raise Forbidden(f"Cannot disable project {project.id} since its subtree contains enabled projects.")
    elif columns.get("is_enabled") and any(not above.is_enabled for above in rights.ancestors(session, project)):
        raise Forbidden(f"Cannot enable project {project.id} since it has disabled parents.")
    with rights.changing(session):
        if columns.get("is_enabled") is False and project.is_enabled:
            bearers.revoke(session, f"project:{project.id}", at=now, until=now + longest)
        fields.apply(project, columns)


def remove(session: Session, project: Project) -> None:
    """Raises Forbidden, LastAdmin."""
    fields.refuse_immutable(project, "project")
    if rights.is_admin_project(project):
        raise Forbidden("The project admin cannot be deleted.", why="its administrators administer the appliance")
    if session.scalar(select(Project.id).where(Project.parent_id == project.id).limit(1)) is not None:
        raise Forbidden(f"Cannot delete the project {project.id} since it is not a leaf in the hierarchy.")
    with rights.changing(session):
        session.execute(
            delete(Assignment).where(Assignment.target_kind == "project", Assignment.target_id == project.id)
        )
        session.execute(delete(Limit).where(Limit.project_key == project.id))
        session.delete(project)


def _refuse_taken(session: Session, domain_id: str, name: str) -> None:
    taken = (Project.domain_id == domain_id) & (Project.name == name)
    fields.refuse_taken(session, taken, "project", name, domain_id=domain_id)
