"""Which image a deploy means, and whether this machine can have it: one of the store, or one that lies elsewhere.

What `choose` refuses a deploy is refused for; whoever only wants to know whether a deploy would be refused asks it too.
"""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from appliance.domain import fake_hardware
from appliance.domain.errors import Ambiguous, Invalid, NotFound
from appliance.models.image import Image
from appliance.models.node import Inventory, Node
from appliance.services import image_address, images
from appliance.services.image_address import Source


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
