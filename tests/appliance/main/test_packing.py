"""A deploy by URL with nothing pretended but the machine: a web server, the one fetcher, and the packer."""

import hashlib
import http.server
import ipaddress
import logging
import shutil
import subprocess
import threading

import pytest
from sqlalchemy import select

from appliance.domain.lifecycle import Verb
from appliance.main.packing import pack_image, timed_fetcher
from appliance.models.image import Image
from appliance.models.node import Node
from appliance.services import image_address, instance_secrets, lifecycle
from appliance.services.image_sources import ImageSources
from appliance.services.image_store import ImageStore
from images.fetch import Limits
from tests.appliance.flows.harness import rig
from tests.fakes.rack import vault

pytestmark = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in ("qemu-img", "prlimit", "sfdisk")),
    reason="qemu-utils, util-linux or fdisk is not installed",
)
CANARY = "signature-canary"
LOOPBACK = (ipaddress.IPv4Network("127.0.0.0/8"),)
MIB = 1 << 20


class Web:
    """files: by path. asked: paths, without queries. A path below /to/ leads to the rest of it."""

    def __init__(self):
        web = self
        self.files, self.asked = {}, []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                path = self.path.partition("?")[0]
                web.asked.append(path)
                body = web.files.get(path)
                self.send_response(302 if path.startswith("/to/") else 404 if body is None else 200)
                if path.startswith("/to/"):
                    self.send_header("Location", self.path.removeprefix("/to/"))
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def web():
    web = Web()
    threading.Thread(target=web.server.serve_forever, args=(0.02,), daemon=True).start()
    yield web
    web.server.shutdown()
    web.server.server_close()


@pytest.fixture
def disk(tmp_path):
    path = tmp_path / "disk.raw"
    with path.open("wb") as file:
        file.truncate(4 * MIB)
        file.seek(2 * MIB)
        file.write(b"some data" * 1000)
    subprocess.run(["sfdisk", "-q", "--no-reread", path], input=b"label: dos\nstart=2048, size=4096\n", check=True)
    return path


@pytest.fixture
def made(database, clock, tmp_path):
    """A rig whose images come through the real fetcher and the real packer."""
    made = rig(database, clock, tmp_path)
    store = ImageStore(
        tmp_path / "images", database=database, vault=vault(), pack=pack_image, fetch=None, clock=clock, name="here"
    )
    opened = timed_fetcher(Limits(trusted=LOOPBACK))
    made.mirror.sources = lambda *_: ImageSources(database, vault(), store, opened=opened, clock=clock)
    return made


def qcow2(disk, *options):
    out = disk.with_suffix(".qcow2")
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", *options, disk, out], check=True)
    return out.read_bytes()


def deploy(made, url, checksum, disk_format=None):
    source = image_address.read(f"{url}?sig={CANARY}", checksum, disk_format)
    made.add_node("available", boot_mode="uefi")
    with made.database.write() as session:
        node = session.scalars(select(Node)).one()
        spec = {"source": source.open_part()}
        lifecycle.request(session, node=node, verb=Verb.DEPLOY, spec=spec, actor="ann", now=made.clock())
        node.instance = {"image": "debian"}
        instance_secrets.keep(vault(), node, {"source": source.hidden_part()})
    made.drive()
    return made.node()


def digest(data, algorithm="sha256"):
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


@pytest.mark.parametrize("algorithm", ["md5", "sha256", "sha512"])
def test_a_qcow2_behind_a_url_becomes_what_machines_are_written_from(made, web, disk, algorithm):
    web.files["/debian.qcow2"] = data = qcow2(disk)
    node = deploy(made, f"{web.url}/debian.qcow2", digest(data, algorithm), "qcow2")
    assert (node.provision_state, node.last_error) == ("active", None)
    with made.database.read() as session:
        image = session.scalars(select(Image)).one()
    assert (image.uuid, image.virtual_size_bytes) == (node.instance["image_uuid"], 4 * MIB)
    assert image.stream["data"]
    assert web.asked == ["/debian.qcow2"]


def test_a_raw_disk_whose_checksum_is_a_file_and_who_redirects(made, web, disk):
    data = web.files["/debian.raw"] = disk.read_bytes()
    web.files["/SUMS"] = f"{hashlib.sha256(data).hexdigest()}  debian.raw\n".encode()
    node = deploy(made, f"{web.url}/to//debian.raw", f"{web.url}/SUMS?sig={CANARY}")
    assert node.provision_state == "active", node.last_error
    assert web.asked == ["/SUMS", "/to//debian.raw", "/debian.raw"]


def evil(web, disk, tmp_path):
    base, path = tmp_path / "base.qcow2", tmp_path / "evil.qcow2"
    base.write_bytes(qcow2(disk))
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, path], check=True)
    web.files["/x"] = path.read_bytes()
    return f"{web.url}/x", digest(web.files["/x"]), "qcow2"


def other_format(web, disk, _):
    web.files["/x"] = disk.read_bytes()
    return f"{web.url}/x", digest(web.files["/x"]), "qcow2"


def no_disk(web, _disk, _):
    web.files["/x"] = b"just a text"
    return f"{web.url}/x", digest(web.files["/x"]), "raw"


def gone(web, _disk, _):
    return f"{web.url}/x", "0" * 64, None


def refused(_web, _disk, _):
    return "http://10.0.0.1/x", "0" * 64, None


def led_astray(web, _disk, _):
    return f"{web.url}/to/http://169.254.169.254/latest", "0" * 64, None


@pytest.mark.parametrize(
    ("case", "said"),
    [
        (evil, "refers to another file"),
        (other_format, "qcow2"),
        (no_disk, "cannot be deployed"),
        (gone, "answered with status 404"),
        (refused, "address not allowed: 10.0.0.1"),
        (led_astray, "address not allowed: 169.254.169.254"),
    ],
)
def test_what_cannot_be_had_or_used_ends_in_a_named_failure(made, web, disk, tmp_path, caplog, case, said):  # noqa: PLR0917
    caplog.set_level(logging.DEBUG)
    node = deploy(made, *case(web, disk, tmp_path))
    assert node.provision_state == "deploy failed"
    assert said in node.last_error
    assert node.failure["step"] in ("fetch_image", "find_image")
    assert node.failure["next"].startswith("rackwright node ")
    assert made.machine.acts == []
    assert CANARY not in caplog.text + node.last_error + str([event.message for event in made.events()])
