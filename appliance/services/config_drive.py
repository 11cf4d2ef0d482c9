"""The config-drive as clients of OpenStack give it: a file system, where one lies, or the documents for one.

- base64 of a gzipped ISO 9660 or FAT file system: kept and written as it is;
- an http or https URL of the same: fetched when the machine is deployed, by the one fetcher, then kept;
- {meta_data, user_data, network_data, vendor_data}: built when the image is written.
Gzipped and as documents it may have MAX_GIVEN bytes, unfolded images.configdrive.MAX_DRIVE. It is sealed in the
database; whoever lists nodes never reads it (appliance.models.config_drive).
"""

import base64
import binascii
import gzip
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson
from sqlalchemy.orm import Session

from appliance.domain.errors import Conflict, Invalid, TooLarge
from appliance.models import config_drive
from appliance.models.config_drive import IMAGE, PARTS, URL
from appliance.models.database import Database
from appliance.models.node import Node
from appliance.services.vault import Vault
from images import configdrive
from images.errors import BadConfigDrive, ImageRefused
from images.fetch import parsed

MAX_GIVEN = 2 * 1024 * 1024
DOCUMENTS = frozenset({"meta_data", "user_data", "network_data", "vendor_data"})


class Source(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


Opener = Callable[[str], AbstractContextManager[Source]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A drive that was found in order. Does not show what it holds."""

    kind: str
    content: bytes = field(repr=False)


def read(value: object, *, is_looked_into: bool = True) -> Given | None:
    """What a client gave, checked; None for nothing. May take a while: not for a transaction.

    is_looked_into: the file system is unfolded and looked at; hardware that is not there takes any. Raises Invalid,
    TooLarge.
    """
    if value is None or value == "":
        return None
    if isinstance(value, dict):
        return Given(kind=PARTS, content=_documents(value))
    if not isinstance(value, str):
        raise Invalid("configdrive is a text or an object")
    if value[:8].lower().startswith(("http://", "https:/")):
        return Given(kind=URL, content=_url(value))
    return Given(kind=IMAGE, content=_image(value.encode(), is_looked_into=is_looked_into))


def _documents(value: Mapping[Any, Any]) -> bytes:
    if unknown := sorted(str(key) for key in set(value) - DOCUMENTS):
        raise Invalid(
            f"a configdrive has no part {unknown[0][:40]!r}", next_step=f"parts: {', '.join(sorted(DOCUMENTS))}"
        )
    for name in ("meta_data", "network_data", "vendor_data"):
        if not isinstance(value.get(name), dict | None):
            raise Invalid(f"{name} of a configdrive is an object")
    if not isinstance(value.get("user_data"), dict | list | str | None):
        raise Invalid("user_data of a configdrive is a text or an object")
    content = orjson.dumps(value)
    _refuse_longer(len(content))
    return content


def _url(value: str) -> bytes:
    """What could never be fetched is refused now, and not when the machine has been cleaned for it."""
    try:
        parsed(value)
    except ImageRefused as cause:
        raise Invalid("the configdrive's URL must be a plain http:// or https:// address") from cause
    return value.encode()


def _image(text: bytes, *, is_looked_into: bool) -> bytes:
    """The gzipped file system out of its base64."""
    _refuse_longer(len(text) * 3 // 4)
    try:
        packed = base64.b64decode(b"".join(text.split()), validate=True)
    except binascii.Error as cause:
        raise Invalid("the configdrive is not base64 encoded or the content is malformed") from cause
    if is_looked_into:
        _look_into(packed)
    return packed


def _look_into(packed: bytes) -> None:
    try:
        configdrive.unpack(packed)
    except BadConfigDrive as cause:
        raise Invalid(str(cause)) from cause


def _refuse_longer(size: int) -> None:
    if size > MAX_GIVEN:
        raise TooLarge(
            f"the configdrive has more than {MAX_GIVEN} bytes",
            next_step="give it gzipped, and leave what is large to a URL in its user-data",
        )


def context(node: Node) -> str:
    return f"node:{node.uuid}:config-drive"


def keep(session: Session, vault: Vault, node: Node, given: Given | None) -> None:
    """In place of what was there; None drops it."""
    if given is None:
        config_drive.drop(session, node_id=node.id)
        return
    content = vault.seal(given.content, context(node))
    config_drive.keep(session, node_id=node.id, kind=given.kind, content=content)


def kind_of(session: Session, node: Node) -> str | None:
    row = config_drive.of(session, node_id=node.id)
    return row.kind if row is not None else None


def fetch(database: Database, vault: Vault, node: Node, opened: Opener) -> None:
    """Bring a drive from its URL into the database. Once it is there, nothing; repeating it is harmless.

    Raises what `opened` raises, Invalid for what is no file system.
    """
    with database.read() as session:
        row = config_drive.of(session, node_id=node.id)
        url = vault.open(row.content, context(node)).decode() if row is not None and row.kind == URL else None
    if url is None:
        return
    with opened(url) as source:
        found = _read_all(source)
    packed = _packed(found)
    _look_into(packed)
    content = vault.seal(packed, context(node))
    with database.write() as session:
        config_drive.keep(session, node_id=node.id, kind=IMAGE, content=content)


def _read_all(source: Source) -> bytes:
    parts, size = [], 0
    while part := source.read(65536):
        parts.append(part)
        size += len(part)
        if size > configdrive.MAX_DRIVE:
            raise TooLarge(f"the configdrive behind the URL has more than {configdrive.MAX_DRIVE} bytes")
    return b"".join(parts)


def _packed(found: bytes) -> bytes:
    """The gzipped file system, whether it lay there bare, gzipped, or in base64 as clients send it."""
    if found.startswith(configdrive.GZIP):
        packed = found
    elif configdrive.is_file_system(found):
        packed = gzip.compress(found, 6, mtime=0)
    else:
        return _image(found, is_looked_into=False)
    _refuse_longer(len(packed))
    return packed


def for_agent(session: Session, vault: Vault, node: Node) -> dict[str, str] | None:
    """Secret parameters of `write_image` for a drive that was given; None when none was."""
    row = config_drive.of(session, node_id=node.id)
    if row is None:
        return None
    content = vault.open(row.content, context(node))
    if row.kind == IMAGE:
        return {"config_drive_gzip": base64.b64encode(content).decode()}
    if row.kind == URL:
        raise Conflict(f"the configdrive of {node.label} was not fetched")
    return {"config_drive": base64.b64encode(_built(node, orjson.loads(content))).decode()}


def _built(node: Node, parts: Mapping[str, Any]) -> bytes:
    """What the documents leave out of the machine's identity is filled in."""
    meta_data = {"uuid": node.uuid, "name": node.name, "hostname": node.name} if node.name else {"uuid": node.uuid}
    user_data = parts.get("user_data")
    if user_data is not None:
        user_data = user_data.encode() if isinstance(user_data, str) else orjson.dumps(user_data)
    try:
        return configdrive.of_documents(
            meta_data=meta_data | (parts.get("meta_data") or {}), user_data=user_data,
            network=parts.get("network_data"), vendor=parts.get("vendor_data"),
        )  # fmt: skip
    except BadConfigDrive as cause:
        raise Invalid(str(cause)) from cause
