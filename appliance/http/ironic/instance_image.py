"""Which image `instance_info` asks for, in our words; and why a deploy would be refused for it, in the clients'.

A deploy and `validate` ask the same function.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from appliance.domain import fake_hardware
from appliance.domain.access import Actor
from appliance.domain.errors import Conflict, Invalid, NotFound
from appliance.http.ironic.errors import BadRequest
from appliance.models.node import Node
from appliance.services import image_address, image_choice, images

_MORE = ("checksum", "image_format")
_TYPES = ("partition", "whole-disk")


def wish(session: Session, actor: Actor, node: Node, *, is_rebuild: bool = False) -> dict[str, Any]:
    """{image, checksum, image_format}, as services.deployment takes them. Raises BadRequest when it would refuse them.

    is_rebuild: a node that says nothing of an image gets its old one again.
    """
    source, is_fake = node.wishes.get("image_source"), fake_hardware.is_fake(node)
    text = f"Node {node.uuid} failed to validate deploy image info. "
    before = (node.instance or {}).get("image_uuid") if is_rebuild else None
    if not isinstance(source, str) or not source:
        if not before and not is_fake:
            raise BadRequest(text + "Some parameters were missing. Missing are: ['instance_info.image_source']")
        found, asked = {}, {"image": before}
    else:
        asked = found = _asked(session, actor, node, source[:2048], text, is_fake=is_fake)
    if not is_fake:
        try:
            image_choice.choose(session, node, asked["image"], **{key: asked[key] for key in _MORE if key in asked})
        except (Invalid, NotFound, Conflict) as fault:
            raise BadRequest(text + fault.message, why=fault.why) from fault
    return found


def _asked(session: Session, actor: Actor, node: Node, source: str, text: str, *, is_fake: bool) -> dict[str, Any]:
    try:
        found = {"image": images.seen_by(session, actor, source)}
    except (NotFound, Conflict) as fault:
        raise BadRequest(text + fault.message, why=fault.why) from fault
    return found if is_fake else found | _elsewhere(node, node.wishes, found["image"])


def _elsewhere(node: Node, info: Mapping[str, Any], source: str) -> dict[str, Any]:
    """What else is said of an image that is no image of ours."""
    kind = info.get("image_type")
    if kind and kind not in _TYPES:
        raise BadRequest(f'Invalid image_type "{str(kind)[:64]}", valid are {", ".join(_TYPES)}')
    if not image_address.is_address(source):
        if kind == "partition":
            _refuse_partition(source)
        return {}
    shown = image_address.shown(source)
    if info.get("boot_iso"):
        raise BadRequest("An 'image_source' and 'boot_iso' parameter may not be specified at the same time.")
    if source.startswith("file:"):
        path = source.removeprefix("file://")
        raise BadRequest(
            f"Validation of image href {shown} failed, reason: Security: Path {path[:255]} is not allowed for image "
            "source file URLs"
        )
    if kind == "partition" or (not kind and (info.get("kernel") or info.get("ramdisk"))):
        _refuse_partition(shown)
    found: dict[str, Any] = {"checksum": _checksum(node, info)}
    if info.get("image_disk_format"):
        found["image_format"] = str(info["image_disk_format"]).lower()
    return found


def _refuse_partition(shown: str) -> None:
    raise BadRequest(
        f"Image {shown} is a partition image, which the deploy interface direct does not write here: give a whole-disk "
        "image, without 'kernel' and 'ramdisk' in instance_info"
    )


def _checksum(node: Node, info: Mapping[str, Any]) -> str:
    """As services.image_address reads it. What is said of the algorithm goes before what its length tells."""
    algorithm, value, plain = (info.get(f"image_{name}") for name in ("os_hash_algo", "os_hash_value", "checksum"))
    if bool(algorithm) != bool(value) or not (value or plain):
        raise BadRequest(
            'image_source\'s "image_checksum", or "image_os_hash_algo" and "image_os_hash_value" must be provided in '
            f"instance_info for node {node.uuid}"
        )
    return f"{algorithm}:{value}" if value else str(plain)
