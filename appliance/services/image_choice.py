"""Which image a deploy means, and whether this machine can have it: one of the store, or one that lies elsewhere.

What `choose` refuses a deploy is refused for; whoever only wants to know whether a deploy would be refused asks it too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from appliance.domain import fake_hardware
from appliance.domain.errors import Ambiguous, Invalid, NotFound
from appliance.models.image import Image
from appliance.models.node import Inventory, Node
from appliance.services import image_address, images, instance_secrets
from appliance.services.image_address import Source
from appliance.services.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """label: for people. source: where it is to be fetched; then uuid is known once it is here."""

    label: str | None
    uuid: str | None = None
    source: Source | None = None


def choose(
    session: Session, node: Node, ref: object, *, checksum: object = None, image_format: object = None
) -> Chosen:
    """Hardware that is not there takes whatever it is told, also nothing. Raises Invalid, NotFound, Conflict."""
    plain = images.plain_ref(ref) if isinstance(ref, str) else ref
    stored = _stored(session, plain)
    if fake_hardware.is_fake(node) and stored is None:
        is_address = isinstance(ref, str) and image_address.is_address(ref)
        label = image_address.shown(str(ref)) if is_address else str(ref)[:2048] if ref else None
        return Chosen(label=label)
    if not isinstance(ref, str) or not isinstance(plain, str) or not plain:
        raise Invalid("deploy needs an image", next_step="rackwright image list")
    if stored is None and image_address.is_address(ref) and not ref.startswith("glance://"):
        return Chosen(label=image_address.shown(ref), source=image_address.read(ref, checksum, image_format))
    image = stored or images.fetch(session, plain)
    images.refuse_unfit(image, session.get(Inventory, node.id), node.label)
    return Chosen(label=image.label, uuid=image.uuid)


def _stored(session: Session, ref: object) -> Image | None:
    if not isinstance(ref, str):
        return None
    try:
        return images.fetch(session, ref)
    except (Ambiguous, NotFound):
        return None


def of_deploy(session: Session, vault: Vault, node: Node, spec: Mapping[str, Any], before: Mapping[str, Any]) -> Chosen:
    """before: the instance that a rebuild replaces. One that names no image gets that one's, also if it never came."""
    known = before.get("image_uuid")
    hidden = instance_secrets.read(vault, node).get("source") if before and not known else None
    if hidden and not spec.get("image"):
        spec = {"image": hidden["url"], "checksum": hidden["checksum"], "image_format": hidden["disk_format"]}
    chosen = choose(
        session, node, spec.get("image") or known or before.get("image"), checksum=spec.get("checksum"),
        image_format=spec.get("image_format"),
    )  # fmt: skip
    if chosen.uuid is not None and {"checksum", "image_format"} & set(spec):
        raise Invalid("checksum and image_format are of an image that is fetched from a URL")
    return chosen


def keep(vault: Vault, node: Node, chosen: Chosen) -> None:
    """Its address may hold what opens it: sealed, until the next deploy."""
    hidden = instance_secrets.read(vault, node)
    if chosen.source is None and "source" not in hidden:
        return
    hidden.pop("source", None)
    more = {"source": chosen.source.hidden_part()} if chosen.source else {}
    instance_secrets.keep(vault, node, {**hidden, **more})
