"""Images, members and tasks as the wire has them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from appliance.domain.images import HAS_BYTES, Status
from appliance.http.glance.fields import OURS
from appliance.models.image import Image, ImageMember, ImageTask

STORE = "local"


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def image(row: Image, *, waits_for: str = "") -> dict[str, Any]:
    """Custom properties and base properties lie side by side; no property hides a base one.

    waits_for: what has to end before its import begins.
    """
    has_bytes = row.status in HAS_BYTES
    path = f"/v2/images/{row.uuid}"
    shown: dict[str, Any] = {name: _text(value) for name, value in row.properties.items()}
    shown |= {
        "id": row.uuid, "name": row.name, "status": row.status, "visibility": row.visibility, "owner": row.owner,
        "protected": row.is_protected, "os_hidden": row.is_hidden, "min_disk": row.min_disk, "min_ram": row.min_ram,
        "disk_format": row.disk_format, "container_format": row.container_format,
        "tags": [tag.value for tag in row.tags],
        "size": row.size_bytes if has_bytes or row.status == Status.UPLOADING else None,
        "virtual_size": row.virtual_size_bytes if has_bytes else None,
        "checksum": row.md5 if has_bytes else None,
        "os_hash_algo": "sha512" if has_bytes else None, "os_hash_value": row.sha512 if has_bytes else None,
        "created_at": stamp(row.created_at), "updated_at": stamp(row.updated_at),
        "self": path, "file": f"{path}/file", "schema": "/v2/schemas/image",
    }  # fmt: skip
    if has_bytes:
        shown["stores"] = STORE
    notes = {
        "problem": row.problem,
        "waits_for": waits_for,
        "not_deployable": row.not_deployable if has_bytes else None,
    }
    return shown | {OURS + name: note for name, note in notes.items() if note}


def _text(value: Any) -> str:
    """Properties given natively may be of other types."""
    return value if isinstance(value, str) else str(value)


def member(row: Image, given: ImageMember) -> dict[str, Any]:
    return {
        "member_id": given.member, "image_id": row.uuid, "status": given.status,
        "created_at": stamp(given.created_at), "updated_at": stamp(given.updated_at), "schema": "/v2/schemas/member",
    }  # fmt: skip


def task_stub(row: ImageTask) -> dict[str, Any]:
    shown = {
        "id": row.uuid, "type": "api_image_import", "status": row.status, "owner": row.owner or "",
        "image_id": row.image_uuid, "user_id": row.user_uuid, "request_id": row.request_id,
        "created_at": stamp(row.created_at), "updated_at": stamp(row.updated_at),
        "self": f"/v2/tasks/{row.uuid}", "schema": "/v2/schemas/task",
    }  # fmt: skip
    return shown if row.expires_at is None else shown | {"expires_at": stamp(row.expires_at)}


def task(row: ImageTask, *, waits_for: str = "") -> dict[str, Any]:
    asked: Mapping[str, Any] = {"image_id": row.image_uuid, "import_req": row.asked, "backend": [STORE]}
    result = {"image_id": row.image_uuid} if row.status == "success" else None
    message = row.message or (f"The import waits for {waits_for}." if waits_for else "")
    return task_stub(row) | {"input": asked, "result": result, "message": message}
