import contextlib
import gzip
import io
import json
import shutil
import subprocess

import pycdlib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from images import configdrive
from images.errors import BadConfigDrive


def read(drive):
    iso = pycdlib.PyCdlib()
    iso.open_fp(io.BytesIO(drive))
    found = {}
    for folder, _, names in iso.walk(rr_path="/"):
        for name in names:
            out = io.BytesIO()
            path = f"{folder.rstrip('/')}/{name}"
            iso.get_file_from_iso_fp(out, rr_path=path)
            found[path.lstrip("/")] = out.getvalue()
    label = iso.pvd.volume_identifier.decode().strip()
    iso.close()
    return label, found


def test_layout():
    drive = configdrive.build({"uuid": "u", "hostname": "n1"}, {"links": []}, b"#!/bin/sh\n", b"#cloud-config\n{}\n")
    label, files = read(drive)
    assert label == "config-2"
    assert files == {
        "openstack/latest/meta_data.json": b'{"uuid":"u","hostname":"n1"}',
        "openstack/latest/network_data.json": b'{"links":[]}',
        "openstack/latest/user_data": b"#!/bin/sh\n",
        "openstack/latest/vendor_data.json": b'"#cloud-config\\n{}\\n"',
    }


def test_what_is_not_given_is_not_there():
    assert set(read(configdrive.build({}, None, None))[1]) == {"openstack/latest/meta_data.json"}


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=5000), st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3))
def test_user_data_is_byte_identical(user_data, meta_data):
    files = read(configdrive.build(meta_data, None, user_data))[1]
    assert files["openstack/latest/user_data"] == user_data
    assert json.loads(files["openstack/latest/meta_data.json"]) == meta_data


def test_limits():
    configdrive.build({}, None, b"x" * 65536)
    with pytest.raises(BadConfigDrive, match="65537 bytes"):
        configdrive.build({}, None, b"x" * 65537)
    with pytest.raises(BadConfigDrive, match="UTF-8"):
        configdrive.build({}, None, None, b"\xff")
    with pytest.raises(BadConfigDrive, match="JSON"):
        configdrive.build({"x": object()}, None, None)


@pytest.mark.skipif(shutil.which("blkid") is None, reason="blkid (util-linux) is not installed")
def test_blkid_finds_the_label(tmp_path):
    (tmp_path / "drive").write_bytes(configdrive.build({}, None, None))
    said = subprocess.run(["blkid", "-p", "-o", "export", tmp_path / "drive"], capture_output=True, check=True).stdout
    assert b"LABEL=config-2" in said
    assert b"TYPE=iso9660" in said


def test_what_was_gzipped_is_unpacked() -> None:
    drive = configdrive.build({"uuid": "u"}, None, None)
    assert configdrive.unpack(gzip.compress(drive)) == drive


@pytest.mark.parametrize(
    ("packed", "match"),
    [
        (b"", "ends in the middle"),
        (b"plain", "not gzipped"),
        (gzip.compress(b"x" * 40_000), "neither"),
        (gzip.compress(bytes(configdrive.MAX_DRIVE + 1)), "longer"),
        (gzip.compress(configdrive.build({}, None, None))[:-1], "ends in the middle"),
    ],
)
def test_what_is_no_drive_is_refused(packed: bytes, match: str) -> None:
    with pytest.raises(BadConfigDrive, match=match):
        configdrive.unpack(packed)


@given(st.binary(max_size=4096))
def test_any_bytes_are_a_drive_or_refused(data: bytes) -> None:
    with contextlib.suppress(BadConfigDrive):
        configdrive.unpack(data)
    configdrive.is_file_system(data)
