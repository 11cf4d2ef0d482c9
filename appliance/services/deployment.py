"""A deploy's wishes, checked before anything is powered, and what the agent is finally told to write.

The plan is the truth: `check` and `write_params` are all that decides what a machine is given.
"""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain import fake_hardware, names, node_steps
from appliance.domain.errors import Conflict, Invalid
from appliance.domain.lifecycle import Verb
from appliance.domain.node_steps import Phase
from appliance.models.config_drive import URL
from appliance.models.database import Database
from appliance.models.image import Image
from appliance.models.node import Node
from appliance.services import (
    agents,
    config_drive,
    image_address,
    image_choice,
    images,
    instance_parts,
    instance_secrets,
    nodes,
    rescue,
)
from appliance.services.boot import hash_secret
from appliance.services.image_store import ImageStore
from appliance.services.vault import Vault
from images import configdrive, userdata

DEPLOY_FIELDS = frozenset(
    {
        "image", "checksum", "image_format", "hostname", "ssh_keys", "user_data", "network_data", "boot", "configdrive",
        "deploy_steps", "call_home",
    }
)  # fmt: skip
CLEAN_FIELDS = frozenset({"method", "clean_steps", "disable_ramdisk"})
SERVICE_FIELDS = frozenset({"service_steps", "disable_ramdisk"})
RESCUE_FIELDS = frozenset({"rescue_password"})
HOPED = "hoped"
"""As call_home: the call is waited for, and its absence is no failure. For images of which nothing is known."""

OURS = frozenset({"hostname", "ssh_keys", "user_data", "network_data"})
"""What goes into a config-drive that we build; who brings one has said it all in there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What took time to look at, so that `check` need not do it again: it counts for the same wishes only."""

    image_uuid: str | None = None
    user_data: object = field(default=None, repr=False)
    configdrive: object = field(default=None, repr=False)
    drive: config_drive.Given | None = field(default=None, repr=False)
    password: object = field(default=None, repr=False)
    password_hash: str | None = field(default=None, repr=False)


def examine(database: Database, store: ImageStore, ref: str, spec: Mapping[str, Any]) -> Examined | None:
    """The slow part of `check`, before its transaction: YAML, file systems and hashes that writers would wait for.

    ref: the node. None when there is nothing to examine; what is missing is refused by `check`. Raises Invalid.
    """
    user_data, drive, password = spec.get("user_data"), spec.get("configdrive"), spec.get("rescue_password")
    if not user_data and not drive and password is None:
        return None
    with database.read() as session:
        node = nodes.fetch(session, ref)
        is_fake = fake_hardware.is_fake(node)
        image = spec.get("image") or (node.instance or {}).get("image_uuid") or (node.instance or {}).get("image")
        is_named = isinstance(image, str) and not image_address.is_address(image)
        uuid = images.fetch(session, str(image)).uuid if user_data and not is_fake and is_named else None
    if uuid is not None:
        instance_parts.user_data(user_data, store.schema(uuid))
    return Examined(
        image_uuid=uuid,
        user_data=user_data,
        configdrive=drive,
        drive=config_drive.read(drive, is_looked_into=not is_fake),
        password=password,
        password_hash=None if password is None else rescue.password_hash(password),
    )


def check(
    session: Session, vault: Vault, store: ImageStore, node: Node, *, verb: Verb, spec: Mapping[str, Any],
    examined: Examined | None = None,
) -> dict[str, Any]:  # fmt: skip
    """What the flow may keep in the clear. Secrets of a deploy are sealed into the node in the same transaction."""
    if verb in (Verb.DEPLOY, Verb.REBUILD):
        return _check_deploy(session, vault, store, node, spec, examined=examined, is_rebuild=verb is Verb.REBUILD)
    if verb is Verb.CLEAN:
        return _check_clean(node, spec)
    if verb is Verb.SERVICE:
        _refuse_unknown(spec, SERVICE_FIELDS)
        return _steps(node, spec, Phase.SERVICE)
    if verb is Verb.RESCUE:
        _refuse_unknown(spec, RESCUE_FIELDS)
        _keep_password(vault, node, spec.get("rescue_password"), examined)
        session.flush()
        return {}
    _refuse_unknown(spec, frozenset())
    return {}


def _refuse_unknown(spec: Mapping[str, Any], allowed: frozenset[str]) -> None:
    unknown = sorted(set(spec) - allowed)
    if unknown:
        raise Invalid(
            f"unknown field {unknown[0]!r}", next_step=f"known fields: {', '.join(sorted(allowed)) or 'none'}"
        )


def _check_clean(node: Node, spec: Mapping[str, Any]) -> dict[str, Any]:
    _refuse_unknown(spec, CLEAN_FIELDS)
    if "clean_steps" in spec:
        if "method" in spec:
            raise Invalid("method and clean_steps exclude each other")
        return _steps(node, spec, Phase.CLEAN)
    if spec.get("disable_ramdisk"):
        raise Invalid("disable_ramdisk needs clean_steps: the disks are erased by the ramdisk")
    if spec.get("method", "metadata") not in ("metadata", "shred"):
        raise Invalid("method is 'metadata' (quick) or 'shred' (every byte)")
    return {key: spec[key] for key in ("method",) if key in spec}


def _steps(node: Node, spec: Mapping[str, Any], phase: Phase) -> dict[str, Any]:
    """The plan of a work that is made of steps."""
    is_bare = spec.get("disable_ramdisk") or False
    if not isinstance(is_bare, bool):
        raise Invalid("disable_ramdisk is true or false")
    wanted = spec.get(f"{phase}_steps")
    plan = node_steps.read(wanted, phase, is_fake=fake_hardware.is_fake(node), has_ramdisk=not is_bare)
    _refuse_switching_off(node, plan)
    return {"plan": plan, "disable_ramdisk": is_bare}


def _refuse_switching_off(node: Node, plan: list[dict[str, Any]]) -> None:
    if node.keeps_power and any(step["step"] == "power_off" for step in plan):
        raise Invalid(f"{node.label} is never switched off: it refuses the step power_off", next_step="use reboot")


def _keep_password(vault: Vault, node: Node, value: object, examined: Examined | None) -> None:
    if value is None:
        raise Invalid("rescue needs a rescue_password")
    is_known = examined is not None and examined.password == value
    found = examined.password_hash if examined and is_known else None
    rescue.keep(vault, node, found or rescue.password_hash(value))


def _check_deploy(
    session: Session, vault: Vault, store: ImageStore, node: Node, spec: Mapping[str, Any], *,
    examined: Examined | None, is_rebuild: bool,
) -> dict[str, Any]:  # fmt: skip
    _refuse_unknown(spec, DEPLOY_FIELDS)
    before = node.instance if is_rebuild and node.instance else {}
    image = image_choice.of_deploy(session, vault, node, spec, before)
    wanted = _instance(node, spec, before) | {"image": image.label, "image_uuid": image.uuid}
    drive = _drive(node, spec, examined)
    keeps_drive = _keeps_drive(spec, is_rebuild=is_rebuild)
    kind = config_drive.kind_of(session, node) if keeps_drive else drive.kind if drive else None
    calls_home = _calls_home(spec, before, has_drive=kind is not None)
    if node.provision_state in ("available", "deploy failed", "error") or is_rebuild:
        node.instance = wanted | {"call_home": calls_home, "config_drive": kind is not None}
        if not keeps_drive:
            config_drive.keep(session, vault, node, drive)
        _keep_documents(vault, store, node, spec, examined=examined, is_rebuild=is_rebuild)
        image_choice.keep(vault, node, image)
    session.flush()
    boot = spec.get("boot", "auto")
    if boot not in ("auto", "kexec", "reboot"):
        raise Invalid("boot is 'auto', 'kexec' or 'reboot'")
    if boot == "kexec" and calls_home is not True:
        raise Invalid("boot 'kexec' needs a system that calls home", why="a kexec that was lost would pass for a start")
    work = {"image": image.label, "image_uuid": image.uuid, "boot": boot, "call_home": calls_home}
    if image.source is not None:
        work["source"] = image.source.open_part()
    if kind == URL:
        work["drive"] = kind
    if spec.get("deploy_steps"):
        plan = node_steps.read(spec["deploy_steps"], Phase.DEPLOY, is_fake=fake_hardware.is_fake(node))
        _refuse_switching_off(node, plan)
        work["plan"] = plan
    return work


def _instance(node: Node, spec: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """What the node's record says of its instance, beside the image."""
    keys = instance_parts.ssh_keys(spec["ssh_keys"]) if "ssh_keys" in spec else before.get("ssh_keys", [])
    given = spec.get("hostname") or before.get("hostname")
    hostname = names.hostname(str(given)) if given else names.as_hostname(node.label) or node.uuid
    return {"hostname": hostname, "ssh_keys": keys}


def _drive(node: Node, spec: Mapping[str, Any], examined: Examined | None) -> config_drive.Given | None:
    wanted = spec.get("configdrive")
    if not wanted:
        return None
    if both := sorted(_for_our_drive(spec)):
        raise Invalid(f"configdrive and {both[0]} exclude each other", why=f"{both[0]} is part of a config-drive")
    if examined is not None and examined.drive is not None and examined.configdrive == wanted:
        return examined.drive
    return config_drive.read(wanted, is_looked_into=not fake_hardware.is_fake(node))


def _keeps_drive(spec: Mapping[str, Any], *, is_rebuild: bool) -> bool:
    """A rebuild that says nothing of it writes the same drive again."""
    return is_rebuild and "configdrive" not in spec and not _for_our_drive(spec)


def _for_our_drive(spec: Mapping[str, Any]) -> set[str]:
    return {name for name in OURS if spec.get(name) is not None}


def _calls_home(spec: Mapping[str, Any], before: Mapping[str, Any], *, has_drive: bool) -> bool | str:
    """Whether the work waits for the installed system's call: never with a drive that knows nothing of us."""
    wish = spec.get("call_home")
    if wish not in (None, True, False, HOPED):
        raise Invalid(f"call_home is true, false or '{HOPED}'")
    if has_drive:
        if wish is True:
            why = "the one that was given cannot tell whom to call"
            raise Invalid("call_home needs a config-drive of ours", why=why)
        return False
    known: bool | str = before.get("call_home", True)
    return known if wish is None else wish


def _keep_documents(
    vault: Vault, store: ImageStore, node: Node, spec: Mapping[str, Any], *, examined: Examined | None, is_rebuild: bool
) -> None:
    """User-data and network data, sealed; a rebuild keeps what it does not name."""
    network_data = spec.get("network_data")
    if network_data is not None and not isinstance(network_data, dict):
        raise Invalid("network_data is an object as in OpenStack's network_data.json")
    if "user_data" not in spec and network_data is None and is_rebuild:
        return
    hidden = instance_secrets.read(vault, node) if is_rebuild else {}
    if "user_data" in spec or not is_rebuild:
        wanted, uuid = spec.get("user_data"), (node.instance or {}).get("image_uuid")
        is_known = examined is not None and (examined.image_uuid, examined.user_data) == (uuid, wanted)
        schema = store.schema(uuid) if uuid and not is_known else None
        hidden["user_data"] = instance_parts.encoded(wanted) if is_known else instance_parts.user_data(wanted, schema)
    if network_data is not None or not is_rebuild:
        hidden["network_data"] = network_data
    instance_secrets.keep(vault, node, hidden)


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
    drive = config_drive.for_agent(session, vault, node)
    if drive is None:
        built = _config_drive(vault, node, instance, call_home=f"{base}/call-home/{token}")
        drive = {"config_drive": base64.b64encode(built).decode()}
    public = {
        "stream": image.stream,
        "base_url": f"{base}/image/{image.uuid}",
        "image": image.label,
        "root_device": node.properties.get("root_device") or {},
    }
    hidden = {"token": store.token(image.uuid, until=now.timestamp() + 86400), **drive}
    return public, vault.seal(orjson.dumps(hidden), agents.command_context(node))


def _config_drive(vault: Vault, node: Node, instance: Mapping[str, Any], *, call_home: str) -> bytes:
    hidden = instance_secrets.read(vault, node)
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
