"""The bytes of images: upload, staging, import and download. Streams, never whole in memory."""

import base64
import binascii
import contextlib
import re
from collections.abc import Mapping
from typing import Any, BinaryIO, cast

from flask import Response, g, request
from sqlalchemy.orm import Session
from werkzeug.exceptions import Gone, RequestedRangeNotSatisfiable, UnsupportedMediaType
from werkzeug.wsgi import FileWrapper

from appliance.domain.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from appliance.domain.image_imports import Import
from appliance.domain.images import HAS_BYTES, Status, may_change
from appliance.http.context import Context
from appliance.http.glance.discovery import IMPORT_METHODS
from appliance.http.glance.downloads import Downloads
from appliance.http.glance.images import read_object
from appliance.http.glance.present import STORE
from appliance.http.json_body import nothing
from appliance.models.image import Image
from appliance.services import image_address, image_catalog, image_tasks
from appliance.services.image_fetches import Address
from images.checksum import ALGORITHMS

CHUNK = 256 * 1024
_HEX = {"md5": 32, "sha256": 64, "sha512": 128}
_SAID_BY_OWNER = {"owner_specified.openstack.md5": "md5", "owner_specified.openstack.sha256": "sha256"}
Promises = list[tuple[str, str]]


def upload(context: Context, uuid: str) -> Response:
    """204 once the image is active: its bytes are all there, looked at, and ready for machines."""
    row = _expecting(context, uuid, Status.SAVING)
    _receive(context, row, Status.SAVING)
    problem = context.images.make_ready(row.uuid)
    if problem:
        _refuse_deleted(context, row)
        raise UnsupportedMediaType(problem)
    return nothing()


def stage(context: Context, uuid: str) -> Response:
    _receive(context, _expecting(context, uuid, Status.UPLOADING), Status.UPLOADING)
    return nothing()


def _expecting(context: Context, uuid: str, to: Status) -> Image:
    """The image, if bytes may be sent to it now. All is checked before the first of them is read."""
    with context.database.read() as session:
        row = image_catalog.find(session, g.actor, uuid)
    if not may_change(g.actor, owner=row.owner):
        raise Forbidden(f"Not allowed to upload image data for image {row.uuid}")
    if request.mimetype != "application/octet-stream":
        raise UnsupportedMediaType(f"Invalid content type {request.mimetype[:100]}")
    if request.headers.get("X-Image-Meta-Store", STORE) != STORE:
        raise Invalid("the store is not known", why=f"there is one: {STORE}")
    if row.status != Status.QUEUED:
        raise Conflict(f"Image status transition from {row.status} to {to} is not allowed")
    missing = [name for name in ("disk_format", "container_format") if getattr(row, name) is None]
    if missing and to is Status.SAVING:
        plural = "Properties" if len(missing) > 1 else "Property"
        raise Invalid(f"{plural} {', '.join(missing)} must be set prior to saving data.")
    return row


def _receive(context: Context, row: Image, to: Status) -> None:
    source = cast("BinaryIO", request.stream)
    try:
        context.images.receive(row.uuid, source, size=_size(), promises=_promises(row), status=to)
    except Conflict:
        _refuse_deleted(context, row)
        raise


def _refuse_deleted(context: Context, row: Image) -> None:
    """Raises Gone if somebody deleted the image while its bytes came in."""
    with context.database.read() as session:
        try:
            image_catalog.find(session, g.actor, row.uuid)
        except NotFound as cause:
            raise Gone(f"Image {row.uuid} could not be found after upload. It was deleted meanwhile.") from cause


def _size() -> int | None:
    text = request.headers.get("X-OpenStack-Image-Size")
    if text is None:
        return request.content_length
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise Invalid("Invalid or missing image size in request headers.")
    return int(text)


def _promises(row: Image) -> Promises:
    """What the sender says that the bytes are: in headers, and in properties that clients set beforehand."""
    given = [(how, row.properties.get(name)) for name, how in _SAID_BY_OWNER.items()]
    given += [("sha256", request.headers.get("X-Checksum-Sha256")), ("md5", _content_md5())]
    return [_promise(how, value) for how, value in given if value]


def _content_md5() -> str | None:
    """As RFC 1864 has it, in base64; or in hexadecimal, as image services answer it."""
    text = request.headers.get("Content-MD5", "")
    if len(text) != 24:
        return text or None
    try:
        return base64.b64decode(text, validate=True).hex()
    except binascii.Error as cause:
        raise Invalid("Content-MD5 is not base64") from cause


def _promise(how: Any, value: Any) -> tuple[str, str]:
    if how not in ALGORITHMS:
        raise Invalid(f"os_hash_algo is one of {', '.join(ALGORITHMS)}")
    if not isinstance(value, str) or not re.fullmatch(f"[0-9a-fA-F]{{{_HEX[how]}}}", value):
        raise Invalid(f"a checksum is not valid: {how} has {_HEX[how]} hexadecimal digits")
    return how, value.lower()


def import_(context: Context, uuid: str) -> Response:
    """202: the bytes that were staged, or those behind an address, become the image in the background."""
    body = read_object()
    method = _method(body)
    name, uri = str(method["name"]), ""
    promises = _validation(body)
    if name == "web-download":
        uri = _checked_address(context, method.get("uri"))
    address = Address(url=uri, promises=promises)
    with context.database.read() as session:
        row = image_catalog.find(session, g.actor, uuid)
    one = Import(uuid=row.uuid, owner=row.owner or "", host=address.host if uri else "")
    with context.imports.place(one) as submit:
        with context.database.write() as session:
            row = image_catalog.changeable(session, g.actor, uuid)
            _begin(context, session, row, body, address)
        work = context.images.fetch if uri else context.images.take_staged
        submit(lambda: work(row.uuid))
    return Response(status=202)


def _begin(context: Context, session: Session, row: Image, body: Mapping[str, Any], address: Address) -> None:
    """address: with an empty URL, when the bytes lie ready."""
    is_staged, now = not address.url, context.clock()
    image_catalog.begin_import(row, holder=context.images.name, is_staged=is_staged, now=now)
    for how, value in address.promises if is_staged else []:
        if getattr(row, how) != value:
            raise Invalid(f"the {how} checksum of the staged bytes differs", why=f"they have {getattr(row, how)}")
    image_tasks.begin(session, row, actor=g.actor, asked=_shown(body), request_id=g.request_id, now=now)
    if is_staged:
        context.images.expect(row.uuid)
    else:
        context.images.expect_from(session, row, address)


def _method(body: Mapping[str, Any]) -> Mapping[str, Any]:
    method = body.get("method")
    if not isinstance(method, dict):
        raise Invalid("Import request requires a 'method' field.")
    if "name" not in method:
        raise Invalid("Import request requires a 'name' field.")
    if method["name"] not in IMPORT_METHODS:
        raise Invalid(f"Unknown import method name '{str(method['name'])[:60]}'.")
    for flag in ("all_stores", "all_stores_must_succeed"):
        if not isinstance(body.get(flag, True), bool):
            raise Invalid(f"'{flag}' must be boolean value only")
    if body.get("stores", [STORE]) not in ([], [STORE]):
        raise Conflict("a store is not known", why=f"there is one: {STORE}")
    return method


def _validation(body: Mapping[str, Any]) -> Promises:
    given = body.get("validation_data")
    if given is None:
        return []
    if not isinstance(given, dict) or set(given) != {"os_hash_algo", "os_hash_value"}:
        raise Invalid("validation_data has os_hash_algo and os_hash_value")
    return [_promise(given["os_hash_algo"], given["os_hash_value"])]


def _checked_address(context: Context, uri: Any) -> str:
    if not isinstance(uri, str):
        raise Invalid("web-download needs a uri")
    with contextlib.suppress(Unavailable):  # the name may be known when its turn comes; else the task says so
        try:
            context.images.check_url(uri)
        except Invalid as fault:
            raise Invalid("URI for web-download does not pass filtering", why=str(fault)) from fault
    return uri


def _shown(body: Mapping[str, Any]) -> dict[str, Any]:
    """The request as tasks show it: the address without what opens it."""
    method = {"name": str(body["method"]["name"])}
    if isinstance(uri := body["method"].get("uri"), str):
        method["uri"] = image_address.shown(uri)
    return {"method": method}


def download(context: Context, downloads: Downloads, uuid: str) -> Response:
    with context.database.read() as session:
        row = image_catalog.downloadable(session, g.actor, uuid)
    if row.status not in HAS_BYTES:
        return nothing()
    _refuse_ranges()
    try:
        file = downloads.begin(context.images.original(row.uuid), g.actor.project_id or g.actor.user_uuid)
    except FileNotFoundError:
        return nothing()
    response = Response(FileWrapper(file, CHUNK), mimetype="application/octet-stream", direct_passthrough=True)
    response.headers["Content-MD5"] = row.md5 or ""
    response.set_etag(row.sha512 or row.uuid)
    response.headers["Content-Length"] = str(row.size_bytes)
    try:
        response.make_conditional(request, accept_ranges=True, complete_length=row.size_bytes)
    except RequestedRangeNotSatisfiable:
        file.close()
        raise
    if request.method == "HEAD" or response.status_code == 304:
        file.close()
    return response


def _refuse_ranges() -> None:
    asked = request.headers.get("Range", "")
    if "," in asked:
        raise Invalid("Requests with multiple ranges are not supported. You may make multiple single-range requests.")
    if asked and not re.fullmatch(r"bytes=(\d{1,18}-\d{0,18}|-\d{1,18})", asked.strip()):
        raise RequestedRangeNotSatisfiable(description="Invalid Range header.")
