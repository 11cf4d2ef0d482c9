"""A deploy's wishes, checked before anything is powered, and what the agent is finally told to write.

The plan is the truth: `check` and `write_params` are all that decides what a machine is given.
"""

import base64
import binascii
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain import names
from appliance.domain.errors import Conflict, Invalid, TooLarge
from appliance.domain.lifecycle import Verb
from appliance.models.database import Database
from appliance.models.image import Image
from appliance.models.node import Inventory, Node
from appliance.services import agents, images, nodes
from appliance.services.boot import hash_secret
from appliance.services.image_store import ImageStore
from appliance.services.vault import Vault
from images import configdrive, userdata

MAX_KEYS = 64
MAX_USER_DATA = 64 * 1024
_KEY_KINDS = ("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
              "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com")  # fmt: skip
_KEY = re.compile(r"([a-z0-9@.-]+) ([A-Za-z0-9+/]+={0,2})( [^\x00-\x1f\x7f]{0,200})?\Z")
DEPLOY_FIELDS = frozenset({"image", "hostname", "ssh_keys", "user_data", "network_data", "boot"})
CLEAN_FIELDS = frozenset({"method"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """User-data that was found valid for an image, so that `check` need not look at it again."""

    image_uuid: str
    user_data: object = field(repr=False)


def examine(database: Database, store: ImageStore, ref: str, spec: Mapping[str, Any]) -> Examined | None:
    """The slow part of `check`, before its transaction: 64 KiB of YAML take a second, and writers would wait for it.

    ref: the node. None when there is nothing to examine; what is missing is refused by `check`. Raises Invalid.
    """
    wanted = spec.get("user_data")
    if wanted is None:
        return None
    with database.read() as session:
        image_ref = spec.get("image") or (nodes.fetch(session, ref).instance or {}).get("image")
        if not isinstance(image_ref, str):
            return None
        uuid = images.fetch(session, image_ref).uuid
    _user_data(wanted, store.schema(uuid))
    return Examined(image_uuid=uuid, user_data=wanted)


def check(
    session: Session, vault: Vault, store: ImageStore, node: Node, *, verb: Verb, spec: Mapping[str, Any],
    examined: Examined | None = None,
) -> dict[str, Any]:  # fmt: skip
    """What the flow may keep in the clear. Secrets of a deploy are sealed into the node in the same transaction."""
    if verb in (Verb.DEPLOY, Verb.REBUILD):
        return _check_deploy(session, vault, store, node, spec, examined=examined, is_rebuild=verb is Verb.REBUILD)
    allowed = CLEAN_FIELDS if verb is Verb.CLEAN else frozenset[str]()
    _refuse_unknown(spec, allowed)
    if verb is Verb.CLEAN and spec.get("method", "metadata") not in ("metadata", "shred"):
        raise Invalid("method is 'metadata' (quick) or 'shred' (every byte)")
    return dict(spec)


def _refuse_unknown(spec: Mapping[str, Any], allowed: frozenset[str]) -> None:
    unknown = sorted(set(spec) - allowed)
    if unknown:
        raise Invalid(
            f"unknown field {unknown[0]!r}", next_step=f"known fields: {', '.join(sorted(allowed)) or 'none'}"
        )


def _check_deploy(
    session: Session, vault: Vault, store: ImageStore, node: Node, spec: Mapping[str, Any], *,
    examined: Examined | None, is_rebuild: bool,
) -> dict[str, Any]:  # fmt: skip
    _refuse_unknown(spec, DEPLOY_FIELDS)
    before = node.instance if is_rebuild and node.instance else {}
    image = _image(session, node, spec.get("image") or before.get("image"))
    boot = spec.get("boot", "auto")
    if boot not in ("auto", "kexec", "reboot"):
        raise Invalid("boot is 'auto', 'kexec' or 'reboot'")
    keys = _ssh_keys(spec["ssh_keys"]) if "ssh_keys" in spec else before.get("ssh_keys", [])
    network_data = spec.get("network_data")
    if network_data is not None and not isinstance(network_data, dict):
        raise Invalid("network_data is an object as in OpenStack's network_data.json")
    hostname = names.hostname(str(spec.get("hostname") or before.get("hostname") or node.label))
    if node.provision_state in ("available", "deploy failed", "error") or is_rebuild:
        node.instance = {"image": image.label, "image_uuid": image.uuid, "hostname": hostname, "ssh_keys": keys}
        if "user_data" in spec or network_data is not None or not is_rebuild:
            hidden = _hidden(vault, node) if is_rebuild else {}
            if "user_data" in spec or not is_rebuild:
                wanted = spec.get("user_data")
                is_known = examined == Examined(image_uuid=image.uuid, user_data=wanted)
                hidden["user_data"] = _encoded(wanted) if is_known else _user_data(wanted, store.schema(image.uuid))
            if network_data is not None or not is_rebuild:
                hidden["network_data"] = network_data
            node.instance_secret = vault.seal(orjson.dumps(hidden), instance_context(node))
    session.flush()
    return {"image": image.label, "image_uuid": image.uuid, "boot": boot}


def instance_context(node: Node) -> str:
    return f"node:{node.uuid}:instance"


def _hidden(vault: Vault, node: Node) -> dict[str, Any]:
    """What is sealed of the node's instance: user_data (base64), network_data."""
    if node.instance_secret is None:
        return {}
    opened: dict[str, Any] = orjson.loads(vault.open(node.instance_secret, instance_context(node)))
    return opened


def _image(session: Session, node: Node, ref: object) -> Image:
    if not isinstance(ref, str) or not ref:
        raise Invalid("deploy needs an image", next_step="rackwright image list")
    image = images.fetch(session, ref)
    images.refuse_undeployable(image)
    report = session.get(Inventory, node.id)
    sizes = [disk["size_bytes"] for disk in report.report.get("disks", [])] if report else []
    if sizes and image.virtual_size_bytes and max(sizes) < image.virtual_size_bytes:
        raise Conflict(
            f"image {image.label} is too big for {node.label}",
            why=f"it unfolds to {image.virtual_size_bytes} bytes; the largest disk has {max(sizes)}",
            next_step="choose a smaller image or a larger disk",
        )
    return image


def _ssh_keys(value: Any) -> list[str]:
    if not isinstance(value, list) or len(value) > MAX_KEYS:
        raise Invalid(f"ssh_keys is a list of at most {MAX_KEYS} public keys")
    return [_ssh_key(item) for item in value]


def _ssh_key(value: Any) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if "PRIVATE KEY" in text[:200]:
        raise Invalid("that is a private key; it was not stored", next_step="give the file that ends in .pub")
    found = _KEY.match(text) if len(text) <= 16384 else None
    if found is None or found[1] not in _KEY_KINDS:
        raise Invalid("an SSH key is one line such as 'ssh-ed25519 AAAA… name', without options")
    try:
        blob = base64.b64decode(found[2], validate=True)
    except binascii.Error as cause:
        raise Invalid("the SSH key's middle part is not base64") from cause
    if found[1].encode() not in blob[:64]:
        raise Invalid("the SSH key's body is of another kind than its first word says")
    return text


def _user_data(value: Any, schema: dict[str, Any] | None) -> str | None:
    """Base64 of the bytes as given; cloud-config is checked against the schema that came with the image."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise Invalid("user_data is a text")
    raw = value.encode()
    if len(raw) > MAX_USER_DATA:
        raise TooLarge(f"user-data is larger than {MAX_USER_DATA} bytes")
    problems = userdata.validate(raw, schema)
    if problems:
        first = problems[0]
        raise Invalid(
            f"user-data is not valid cloud-config: line {first.line}: {first.message}",
            why="; ".join(f"line {p.line}, column {p.column}: {p.message}" for p in problems[:10]),
            next_step="correct it and deploy again; nothing was powered",
        )
    return _encoded(value)


def _encoded(value: Any) -> str | None:
    return base64.b64encode(value.encode()).decode() if value else None


def write_params(
    session: Session, vault: Vault, store: ImageStore, node: Node, *, http_port: int, now: datetime
) -> tuple[dict[str, Any], bytes]:
    """Parameters of `write_image` for this node: (open ones, sealed ones). Mints the call-home token.

    Repeating it gives a new token; the one that the agent was given last counts.
    """
    instance = node.instance or {}
    image = session.scalar(select(Image).where(Image.uuid == instance.get("image_uuid")))
    if image is None or image.status != "active" or image.stream is None:
        raise Conflict(f"image {instance.get('image')} is gone", next_step="rackwright image list")
    if node.appliance_address is None:
        raise Conflict(f"{node.label} was never seen to boot from this appliance", next_step="boot it once more")
    token = secrets.token_urlsafe(32)
    node.call_home_hash = hash_secret(token)
    base = f"http://{node.appliance_address}:{http_port}"
    drive = _config_drive(vault, node, instance, call_home=f"{base}/call-home/{token}")
    public = {
        "stream": image.stream,
        "base_url": f"{base}/image/{image.uuid}",
        "image": image.label,
        "root_device": node.properties.get("root_device") or {},
    }
    hidden = {
        "token": store.token(image.uuid, until=now.timestamp() + 86400),
        "config_drive": base64.b64encode(drive).decode(),
    }
    return public, vault.seal(orjson.dumps(hidden), agents.command_context(node))


def _config_drive(vault: Vault, node: Node, instance: Mapping[str, Any], *, call_home: str) -> bytes:
    hidden = _hidden(vault, node)
    user_data = base64.b64decode(hidden["user_data"]) if hidden.get("user_data") else None
    meta_data = {
        "uuid": node.uuid,
        "hostname": instance.get("hostname"),
        "name": instance.get("hostname"),
        "public_keys": {f"key-{number}": key for number, key in enumerate(instance.get("ssh_keys", []))},
    }
    network_data = hidden.get("network_data") or default_network(node)
    return configdrive.build(meta_data, network_data, user_data, vendor_data=userdata.call_home_vendor_data(call_home))


def default_network(node: Node) -> dict[str, Any]:
    """DHCP on the port that boots; the others stay as they are (OpenStack network_data.json)."""
    mac = next((port.mac for port in node.ports if port.is_pxe), None)
    if mac is None:
        return {"links": [], "networks": [], "services": []}
    link = {"id": "boot", "type": "phy", "ethernet_mac_address": mac}
    return {
        "links": [link],
        "networks": [{"id": "boot4", "type": "ipv4_dhcp", "link": "boot", "network_id": "boot"}],
        "services": [],
    }
