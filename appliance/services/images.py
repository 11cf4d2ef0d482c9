"""Images as operators handle them: rows only. Their bytes are services.image_store."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, defer

from appliance.domain import names
from appliance.domain.access import Actor
from appliance.domain.errors import Ambiguous, Conflict, Forbidden, Invalid, NotFound, Taken
from appliance.domain.lifecycle import State
from appliance.models import event
from appliance.models.columns import new_uuid
from appliance.models.image import Image, RetiredImage
from appliance.models.node import Inventory, Node
from appliance.models.paging import Part, weight
from appliance.services import image_catalog, image_tasks
from appliance.services.paging import Window, page

_IMPORT = "import a raw disk with a partition table, or a qcow2 of one"
_OURS = re.compile(r"(?:glance://|https?://[^/]{1,255}/(?:image/)?v[12]/images/)([0-9a-f-]{36})(?:/file)?\Z")
"""How clients address an image of an image service."""
_BEING_WRITTEN = select(Node.name, Node.uuid, Node.instance).where(
    Node.provision_state.in_((State.DEPLOYING, State.DEPLOYWAIT, State.DEPLOYHOLD))
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,119}\Z")


def create(
    session: Session, *, name: str, sha256: str | None, properties: Mapping[str, Any], actor: str, now: datetime,
    holder: str | None = None, uuid: str | None = None,
) -> Image:  # fmt: skip
    """An empty image of the appliance's own, for everybody. sha256: what the bytes must have, when somebody said so.

    holder: the appliance that fetches the bytes itself: the image is `saving` from the first moment, so that a restart
    knows that it broke off. Else `queued`: it waits for an upload.
    """
    if len(name) > 120 or not _NAME.match(name):
        raise Invalid(f"{name[:60]!r} is not an image name", why="letters, digits and . _ + - are allowed, up to 120")
    if session.scalar(select(Image.id).where(Image.name == name)):
        raise Conflict(f"an image named {name!r} exists already", next_step=f"rackwright image delete {name}")
    row = Image(
        uuid=uuid or new_uuid(), name=name, status="queued" if holder is None else "saving", holder=holder,
        sha256=sha256,
        properties=dict(properties), created_at=now, updated_at=now,
    )  # fmt: skip
    session.add(row)
    session.flush()
    event.record(session, at=now, kind="image.created", actor=actor, message=f"image {name} created")
    return row


def fetch(session: Session, ref: str, *, actor: Actor | None = None) -> Image:
    """By UUID, or by name as long as one image alone has it. Raises NotFound, Ambiguous.

    actor: only images that they see are found; None: for somebody who sees all of them.
    """
    found = list(session.scalars(select(Image).where(or_(Image.name == ref[:255], Image.uuid == ref.lower()[:36]))))
    if actor is not None:
        found = [row for row in found if image_catalog.sees(session, actor, row)]
    exact = [row for row in found if row.uuid == ref.lower()] or found
    if len(exact) > 1:
        raise Ambiguous(
            f"{len(exact)} images are named {ref[:120]!r}",
            why=", ".join(row.uuid for row in exact[:10]),
            next_step="name the one that you mean by its UUID",
        )
    if not exact:
        raise NotFound(f"no image {names.address_shown(ref)[:120]!r}", next_step="rackwright image list")
    return exact[0]


def seen_by(session: Session, actor: Actor, ref: str) -> str:
    """The UUID of the image that an actor means, so that nobody deploys what they may not see.

    ref itself, if no image at all is meant: hardware that is not there takes any. Raises NotFound, Ambiguous.
    """
    plain = plain_ref(ref)
    try:
        return fetch(session, plain, actor=actor).uuid
    except NotFound:
        if session.scalar(select(Image.id).where(or_(Image.name == plain[:255], Image.uuid == plain.lower()[:36]))):
            raise
        return ref


def plain_ref(ref: str) -> str:
    """The name or UUID that a reference to an image service stands for; any other address as it is."""
    found = _OURS.match(ref)
    return found[1] if found else ref.removeprefix("glance://")


def listing(session: Session, *, limit: int, marker: str | None) -> Part[Image]:
    """The oldest first. marker: UUID of the last of the page before. Raises NotFound for one that is no image's."""
    window = Window(limit=limit, marker=marker, weighed=weight(Image.__table__.c))
    return page(session, select(Image), Image, window)


def named(session: Session) -> Sequence[Image]:
    """All that a page of ours shows of images, which are not their properties."""
    return list(session.scalars(select(Image).options(defer(Image.properties)).order_by(Image.id).limit(1000)))


def refuse_undeployable(row: Image) -> None:
    """Raises Conflict unless machines can be written from the image."""
    why = row.problem or "it is not ready yet"
    if row.status == "deactivated":
        why = "an administrator has withdrawn it"
    if row.status != "active":
        raise Conflict(f"image {row.label} is {row.status}: {why}", next_step="rackwright image list")
    if row.stream is None:
        raise Conflict(f"image {row.label} cannot be deployed", why=row.not_deployable or "", next_step=_IMPORT)


def refuse_small(row: Image, report: Inventory | None, label: str) -> None:
    """Raises Conflict if the machine is known to have less than the image asks for. label: of the machine."""
    if report is None:
        return
    disks = [int(disk["size_bytes"]) for disk in report.report.get("disks", [])]
    wanted = max(row.virtual_size_bytes or 0, row.min_disk << 30)
    if disks and max(disks) < wanted:
        raise Conflict(
            f"image {row.label} is too big for {label}",
            why=f"it needs {wanted} bytes; the largest disk has {max(disks)}",
            next_step="choose a smaller image or a larger disk",
        )
    memory = int(report.report.get("memory_mib") or 0)
    if memory and memory < row.min_ram:
        why = f"it asks for {row.min_ram} MiB, {label} has {memory}"
        raise Conflict(f"image {row.label} needs more memory", why=why, next_step="choose a larger machine")


def refuse_unfit(row: Image, report: Inventory | None, label: str) -> None:
    """Raises Conflict unless this machine can be written from the image."""
    refuse_undeployable(row)
    refuse_small(row, report, label)


def delete(session: Session, row: Image, *, actor: str, now: datetime) -> None:
    """Forget an image but for its id, unless it is protected, or a node is being written from it right now."""
    if row.is_protected:
        raise Forbidden(f"Image {row.uuid} is protected and cannot be deleted.", next_step="take the protection away")
    for label, uuid, instance in session.execute(_BEING_WRITTEN):
        if (instance or {}).get("image_uuid") == row.uuid:
            raise Taken(
                f"image {row.label} is being deployed", why=f"to node {label or uuid}",
                next_step=f"rackwright node why {label or uuid}",
            )  # fmt: skip
    image_tasks.end(session, row.uuid, problem="the image was deleted", now=now)
    session.delete(row)
    session.add(RetiredImage(uuid=row.uuid))
    event.record(session, at=now, kind="image.deleted", actor=actor, message=f"image {row.label} deleted")
