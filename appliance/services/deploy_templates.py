"""Deploy templates: named by a trait; a deployment that asks for the trait runs the template's steps."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain.errors import Conflict
from appliance.models.deploy_template import DeployTemplate
from appliance.services import step_secrets
from appliance.services.belonging import apply, first, is_uuid, keep
from appliance.services.vault import Vault


def fetch(session: Session, ident: str) -> DeployTemplate:
    """The template with this UUID or name."""
    column = DeployTemplate.uuid if is_uuid(ident) else DeployTemplate.name
    missing = f"Deploy template {ident[:255]} could not be found."
    found: DeployTemplate = first(session, select(DeployTemplate).where(column == ident[:255]), otherwise=missing)
    return found


def create(session: Session, wish: Mapping[str, Any], *, now: datetime) -> DeployTemplate:
    _refuse_taken(session, wish, but_not=0)
    row = DeployTemplate(created_at=now, **wish)
    session.add(row)
    keep(session, f"A deploy template with name {row.name} already exists.")
    return row


def change(session: Session, row: DeployTemplate, changes: dict[str, Any], *, now: datetime) -> None:
    _refuse_taken(session, changes, but_not=row.id)
    apply(row, changes)
    row.updated_at = now
    keep(session, f"A deploy template with name {row.name} already exists.")


def delete(session: Session, row: DeployTemplate) -> None:
    session.delete(row)
    session.flush()


def steps_for(session: Session, vault: Vault, traits: Iterable[str]) -> list[dict[str, Any]]:
    """The steps of all templates that these traits name: [{interface, step, args, priority}], highest priority first.

    Priority 0 is kept: it says that a step which would run by itself shall not. Of two templates that name the same
    step, the one whose trait comes first in the alphabet counts.
    """
    wanted = sorted(set(traits))[:100]
    rows = session.scalars(select(DeployTemplate).where(DeployTemplate.name.in_(wanted)).order_by(DeployTemplate.name))
    steps: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        for step in step_secrets.opened(vault, row):
            steps.setdefault((step["interface"], step["step"]), dict(step))
    return sorted(steps.values(), key=lambda step: -step["priority"])


def _refuse_taken(session: Session, wish: Mapping[str, Any], *, but_not: int) -> None:
    for column, said in ((DeployTemplate.name, "name"), (DeployTemplate.uuid, "UUID")):
        value = wish.get(column.key)
        if value and session.scalar(select(DeployTemplate.id).where(column == value, DeployTemplate.id != but_not)):
            raise Conflict(f"A deploy template with {said} {value} already exists.")
