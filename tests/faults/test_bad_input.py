"""What people send that cannot be: refused with an exit code, a reason and a next step, and nothing is changed."""

import hashlib
import os

import pytest

from tests.fakes.served import Served

BAD_USER_DATA = "#cloud-config\npackages:\n  - nginx\nrun_cmd: [ls]\nusers: 5\n"


def refuses(appliance: Served, code: int, *words: str, says: str, then: str, why: str = "") -> str:
    """The command fails as promised; returns what it wrote to stderr."""
    said = appliance.cli(*words)
    assert said.code == code, said
    assert says in said.err
    assert f"next: {then}" in said.err
    assert not why or "why: " in said.err
    assert why in said.err
    assert "Traceback" not in said.err
    return said.err


@pytest.fixture(scope="module")
def ready(appliance: Served) -> Served:
    """With one image and one machine in `available`."""
    appliance.add_image("small")
    appliance.fleet(1)
    return appliance


def test_a_name_that_is_taken(ready):
    before = ready.get("/v1/nodes")["items"]
    refuses(
        *[ready, 5, "node", "enroll", "n1", "--driver", "fake"],
        says="A node with name n1 already exists.", then="choose another name",
    )  # fmt: skip
    assert len(ready.get("/v1/nodes")["items"]) == len(before)


def test_a_mac_that_is_taken(ready):
    refuses(
        *[ready, 5, "node", "enroll", "n9", "--driver", "fake", "--mac", "52-54-00-FA-00-01"],
        says="52:54:00:fa:00:01 belongs to node n1 already", then="rackwright node show n1",
    )  # fmt: skip
    assert ready.refused("GET", "/v1/nodes/n9").status == 404


def test_many_at_once_with_one_name_and_mac(ready):
    """The database decides: one wins, the others are told who."""
    from concurrent.futures import ThreadPoolExecutor

    from appliance.main.client import Client
    from appliance.main.client_errors import ApiError

    def enroll(_number: int) -> int:
        client = Client(url=ready.client().url, ca=ready.client().ca, token=ready.token)
        body = {"name": "race", "driver": "fake", "macs": ["52:54:00:fa:99:01"]}
        try:
            return client.call("POST", "/v1/nodes", body=body).status
        except ApiError as error:
            return error.status
        finally:
            client.close()

    with ThreadPoolExecutor(12) as pool:
        answers = sorted(pool.map(enroll, range(12)))
    assert answers == [201] + [409] * 11


def test_an_unknown_image(ready):
    refuses(
        *[ready, 3, "node", "deploy", "n1", "--image", "smal"],
        says="no image 'smal'", then="rackwright image list",
    )  # fmt: skip
    assert ready.node("n1")["provision_state"] == "available"


def test_an_unknown_node(ready):
    refuses(ready, 3, "node", "deploy", "n77", "--image", "small", says="n77", then="rackwright node list")


def test_bytes_that_differ_from_their_checksum(ready, tmp_path):
    data = os.urandom(1 << 20)
    wrong = hashlib.sha256(b"something else").hexdigest()
    from appliance.main.client_errors import ApiError

    with pytest.raises(ApiError) as refused:
        ready.upload("flipped", data, sha256=wrong)
    assert refused.value.status == 400
    assert refused.value.code == "image-refused"
    assert "the sha256 checksum of the image differs" in str(refused.value)
    assert wrong in refused.value.why
    assert refused.value.next_step
    image = ready.get("/v1/images/flipped")
    assert image["status"] == "killed"
    assert "checksum" in image["problem"]
    assert not list((ready.state / "images" / image["uuid"]).glob("upload*")), "nothing of it is kept"
    refuses(
        *[ready, 5, "node", "deploy", "n1", "--image", "flipped"],
        says="image flipped is killed", then="rackwright image list",
    )  # fmt: skip
    file = tmp_path / "disk.raw"
    file.write_bytes(data)
    said = ready.cli("image", "import", str(file), "--name", "flipped2", "--sha256", wrong)
    assert said.code != 0
    assert "why: its SHA-256 is" in said.err
    assert ready.refused("GET", "/v1/images/flipped2").status == 404


def test_an_upload_that_breaks_off(ready):
    """The connection ends in the middle: the image is killed and says so; nothing of it is kept."""
    import socket
    import ssl

    digest = "ab" * 32
    ready.call("POST", "/v1/images", {"name": "broken-off", "sha256": digest})
    context = ssl.create_default_context(cafile=str(ready.state / "tls" / "ca.pem"))
    head = (
        f"PUT /v1/images/broken-off/file HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {ready.token}\r\n"
        "Content-Type: application/octet-stream\r\nContent-Length: 4000000\r\n\r\n"
    )
    with (
        socket.create_connection(("127.0.0.1", ready.ports.api), 10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        connection.sendall(head.encode() + b"x" * 100_000)
    ready.until(lambda: ready.get("/v1/images/broken-off")["status"] == "killed", within_s=60, what="it is killed")
    image = ready.get("/v1/images/broken-off")
    assert image["problem"]
    assert not list((ready.state / "images" / image["uuid"]).glob("upload*"))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        pytest.param(b"", "no bytes came", id="empty"),
        pytest.param(b"\x00" * 1000, "sector", id="no whole sectors"),
    ],
)
def test_bytes_that_are_no_disk(ready, data, problem):
    from appliance.main.client_errors import ApiError

    name = f"none-{len(data)}"
    try:
        image = ready.upload(name, data)
    except ApiError:  # some are refused while they come in, some when they are looked at
        image = ready.get(f"/v1/images/{name}")
    assert image["status"] == "killed"
    assert problem in image["problem"]


def test_an_image_larger_than_the_disk(ready):
    """The machine has told of 960 GB at its inspection; a sparse image claims 1 TiB."""
    assert ready.do("n1", "manage")["provision_state"] == "manageable"
    assert ready.do("n1", "inspect")["provision_state"] == "manageable"
    assert ready.do("n1", "provide")["provision_state"] == "available"
    ready.call("PATCH", "/v1/nodes/n1", {})
    uuid = ready.get("/v1/images/small")["uuid"]
    import sqlite3

    with sqlite3.connect(ready.state / "rackwright.db", timeout=30) as database:
        database.execute("UPDATE image SET virtual_size_bytes = ? WHERE uuid = ?", (1 << 40, uuid))
    database.close()
    try:
        text = refuses(
            *[ready, 5, "node", "deploy", "n1", "--image", "small"],
            says="image small is too big for n1", then="choose a smaller image or a larger disk",
            why=f"it needs {1 << 40} bytes; the largest disk has 960000000000",
        )  # fmt: skip
        assert "error: " in text
        node = ready.node("n1")
        assert node["provision_state"] == "available"
        assert node["instance"] is None
    finally:
        with sqlite3.connect(ready.state / "rackwright.db", timeout=30) as database:
            database.execute("UPDATE image SET virtual_size_bytes = ? WHERE uuid = ?", (4 << 20, uuid))
        database.close()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("#cloud-config\npackages: [nginx\n", "line 3", id="not YAML"),
        pytest.param("#cloud-config\n- one\n- two\n", "cloud-config", id="a list"),
        pytest.param("packages: [nginx]\n", "first line", id="no first line"),
        pytest.param("#cloud-config\n" + "x: y\n" * 20_000, "65536 bytes", id="too long"),
    ],
)
def test_user_data_that_is_no_cloud_config(ready, tmp_path, text, problem):
    """Refused before anything is powered."""
    file = tmp_path / "user-data"
    file.write_text(text)
    events = len(ready.events("n1"))
    said = ready.cli("node", "deploy", "n1", "--image", "small", "--user-data", str(file))
    assert said.code == 2, said
    assert problem in said.err
    node = ready.node("n1")
    assert node["provision_state"] == "available"
    assert (node["instance"], node["power_state"]) == (None, ready.node("n1")["power_state"])
    assert len(ready.events("n1")) == events, "nothing happened to the machine"


@pytest.mark.parametrize("name", ["UPPER_case", "a" * 64, "-x", "a..b", "x;reboot", "ü"])
def test_names_that_are_no_host_names(ready, name):
    said = ready.cli("node", "enroll", "--driver", "fake", "--", name)
    assert said.code == 2, said
    assert "error: " in said.err
