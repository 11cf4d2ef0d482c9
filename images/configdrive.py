"""A config drive: the small ISO 9660 file system labelled `config-2` from which cloud-init takes everything it is told.

Layout: openstack/latest/{meta_data.json, network_data.json, user_data, vendor_data.json}, as OpenStack's Nova writes
them (nova docs, "config drives"). user_data is kept byte for byte; nothing is rendered.
"""

import io
import json
import zlib
from collections.abc import Mapping
from typing import Any

import pycdlib
from pycdlib.pycdlibexception import PyCdlibException

from images.errors import BadConfigDrive

LABEL = "config-2"
MAX_USER_DATA = 64 * 1024
MAX_DRIVE = 64 * 1024 * 1024
GZIP = b"\x1f\x8b"


def build(
    meta_data: Mapping[str, Any],
    network_data: Mapping[str, Any] | None,
    user_data: bytes | None,
    vendor_data: bytes | None = None,
) -> bytes:
    """The bytes of the file system. vendor_data: a user-data document of the operator's, applied before the user's.

    Raises BadConfigDrive when user_data or vendor_data is longer than MAX_USER_DATA, or vendor_data is not UTF-8 text.
    """
    files = {"meta_data.json": _json(meta_data)}
    if network_data is not None:
        files["network_data.json"] = _json(network_data)
    if user_data is not None:
        files["user_data"] = _capped(user_data, "user-data")
    if vendor_data is not None:
        try:
            files["vendor_data.json"] = _json(_capped(vendor_data, "vendor-data").decode())
        except UnicodeDecodeError as cause:
            raise BadConfigDrive("vendor-data is not UTF-8 text") from cause
    return _iso({"openstack/latest/" + name: content for name, content in files.items()})


def of_documents(
    *,
    meta_data: Mapping[str, Any],
    user_data: bytes | None,
    network: Mapping[str, Any] | None,
    vendor: Mapping[str, Any] | None,
) -> bytes:
    """As `build`, of documents that somebody else wrote: only the whole is capped, and vendor data is a JSON object."""
    files = {"meta_data.json": _json(meta_data)}
    files |= {
        name: _json(value) for name, value in (("network_data.json", network), ("vendor_data2.json", vendor)) if value
    }
    if user_data is not None:
        files["user_data"] = user_data
    return _iso({"openstack/latest/" + name: content for name, content in files.items()})


def unpack(packed: bytes) -> bytes:
    """The file system out of its gzip. Raises BadConfigDrive unless it is one, and no longer than MAX_DRIVE."""
    unfold = zlib.decompressobj(wbits=31)
    try:
        found = unfold.decompress(packed, MAX_DRIVE + 1)
    except zlib.error as cause:
        raise BadConfigDrive("the config drive is not gzipped") from cause
    if len(found) > MAX_DRIVE:
        raise BadConfigDrive(f"the config drive is longer than {MAX_DRIVE} bytes")
    if not unfold.eof:
        raise BadConfigDrive("the config drive ends in the middle")
    if not is_file_system(found):
        raise BadConfigDrive("the config drive is neither an ISO 9660 nor a FAT file system")
    return found


def is_file_system(data: bytes) -> bool:
    """ISO 9660 (ECMA-119 §8.1: the identifier of the first volume descriptor) or FAT (the type in its boot sector)."""
    is_iso = data[0x8001:0x8006] == b"CD001"
    return is_iso or (data[510:512] == b"\x55\xaa" and (data[54:57] == b"FAT" or data[82:85] == b"FAT"))


def _json(value: Any) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as cause:
        raise BadConfigDrive("the metadata cannot be written as JSON") from cause


def _capped(data: bytes, what: str) -> bytes:
    if len(data) > MAX_USER_DATA:
        raise BadConfigDrive(f"{what} is {len(data)} bytes long; {MAX_USER_DATA} are allowed")
    return data


def _iso(files: Mapping[str, bytes]) -> bytes:
    """ISO 9660 with Rock Ridge and Joliet names; the plain ISO names are only counters, since nobody reads them."""
    iso = pycdlib.PyCdlib()
    iso.new(vol_ident=LABEL, joliet=3, rock_ridge="1.09", interchange_level=3)
    places: dict[str, str] = {"": ""}
    try:
        for path, content in files.items():
            folder = ""
            for part in path.split("/")[:-1]:
                inner = f"{folder}/{part}"
                if inner not in places:
                    places[inner] = f"{places[folder]}/D{len(places)}"
                    iso.add_directory(places[inner], rr_name=part, joliet_path=inner)
                folder = inner
            name = path.rsplit("/", 1)[-1]
            place = f"{places[folder]}/F{len(places)}.;1"
            places[f"/{path}"] = place
            iso.add_fp(io.BytesIO(content), len(content), place, rr_name=name, joliet_path=f"/{path}")
        out = io.BytesIO()
        iso.write_fp(out)
    except PyCdlibException as cause:
        raise BadConfigDrive(f"the config drive cannot be written: {cause}") from cause
    finally:
        iso.close()
    return out.getvalue()
