"""Requests that are no requests, to the three OpenStack faces: an exact refusal in the face's own words, nothing done.

What is odd inside a good body is tested with each face; what is odd below HTTP, with the server.
"""

import hashlib
import json
import re
import time
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from appliance.http.json_body import MAX_BODY
from appliance.models.database import Base
from tests.fakes import ironic_things as things

WRITES = {"/identity/v3/projects": "POST", "/baremetal/v1/nodes": "POST", "/image/v2/images": "POST"}
LISTS = ("/identity/v3/users", "/baremetal/v1/nodes", "/image/v2/images")
NOBODY = "0" * 8 + "-0000-4000-8000-" + "0" * 12
VOLATILE = {"event", "setting"}
"""Refusals of authority are noted, and keys are made at the first need."""


class Faces:
    """An admin's requests to the whole app. uuid, image: a node and an image that are there."""

    def __init__(self, appliance):
        self.appliance = appliance
        self.app = appliance.operators()
        self.client, self.token = self.app.test_client(), appliance.token()
        self.uuid = things.node(appliance.database)
        body = {"name": "i", "disk_format": "raw", "container_format": "bare"}
        self.image = self("POST", "/image/v2/images", data=json.dumps(body)).get_json()["id"]
        kind = {"Content-Type": "application/octet-stream"}
        assert self("PUT", f"/image/v2/images/{self.image}/file", data=b"x" * 1000, headers=kind).status_code == 204

    def __call__(self, method, path, *, token=..., headers=None, **more):
        sent = {"X-OpenStack-Ironic-API-Version": "1.110", "Content-Type": "application/json",
                "Accept": "application/json"}  # fmt: skip
        sent |= {"X-Auth-Token": self.token} if token is ... else {"X-Auth-Token": token} if token else {}
        return self.client.open(path, method=method, headers=sent | (headers or {}), buffered=True, **more)

    def stored(self):
        """A digest of all that the database holds."""
        found = hashlib.sha256()
        with self.appliance.database.read() as session:
            for table in Base.metadata.sorted_tables:
                if table.name not in VOLATILE:
                    rows = sorted(map(repr, session.execute(text(f'SELECT * FROM "{table.name}"')).all()))
                    found.update("".join([table.name, *rows]).encode())
        return found.hexdigest()


@pytest.fixture
def faces(appliance):
    return Faces(appliance)


def sentence(answer):
    """What the face says, read as its clients read it."""
    path, body = answer.request.path, answer.get_json()
    if path.startswith("/baremetal") and answer.status_code != 401:
        inner = json.loads(body["error_message"])
        said = inner.get("faultstring") or inner["description"]
        assert answer.headers["OpenStack-Request-Id"].startswith("req-")
    elif path.startswith("/image"):
        assert body["code"].startswith(str(answer.status_code))
        said = body["message"]
    else:
        assert body["error"]["code"] == answer.status_code
        said = body["error"]["message"]
    assert "Traceback" not in said
    assert "sqlalchemy" not in said.lower()
    assert len(said) < 3000
    return said


def refused(faces, answer, *statuses):
    assert answer.status_code in statuses, (
        answer.request.path[:200],
        answer.status_code,
        answer.get_data(as_text=True),
    )
    return sentence(answer) if answer.request.method != "HEAD" else ""


BODIES = {
    "nothing but a bracket": (b"{", 400),
    "a hundred thousand brackets": (b"[" * 100_000, 400),
    "26 deep": (b'{"extra":' * 26 + b"1" + b"}" * 26, 400),
    "NaN": (b'{"name": NaN}', 400),
    "Infinity": (b'{"name": Infinity}', 400),
    "minus Infinity": (b'{"name": -Infinity}', 400),
    "not UTF-8": (b'{"name": "\xff\xfe"}', 400),
    "half a pair": (b'{"name": "\\ud800"}', 400),
    "UTF-16": ('{"name": "x"}'.encode("utf-16"), 400),
    "a list": (b"[]", 400),
    "a number": (b"1e308", 400),
    "text after the end": (b"{} {}", 400),
    "XML with an entity": (b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', 400),
    "a form": (b"name=x&driver=fake", 400),
    "one byte too many": (b'{"name":"' + b"a" * (MAX_BODY - 10) + b'"}', 413),
    "NUL": (b'{"name": "a\\u0000b", "driver": "fake-hardware"}', 400),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_bodies(faces, name):
    body, status = BODIES[name]
    before = faces.stored()
    for path, method in WRITES.items():
        began = time.process_time()
        refused(faces, faces(method, path, data=body), status)
        assert time.process_time() - began < 2
    assert faces.stored() == before


def test_a_name_that_comes_twice_counts_once(faces):
    """The last one, for the check and for the deed alike."""
    body = b'{"driver": "fake-hardware", "name": "first", "name": "no name at all"}'
    refused(faces, faces("POST", "/baremetal/v1/nodes", data=body), 400)


@pytest.mark.parametrize(
    "value", ["0" * 400, "-1", "1e9", "abc", "99999999999999999999999", "\u0661\u0662", "1;drop", "NaN"]
)
def test_limits(faces, value):
    for path in LISTS:
        answer = faces("GET", path, query_string={"limit": value})
        assert answer.status_code in ((200, 400) if path.startswith("/identity") else (400,)), (path, value)
    assert faces("GET", "/baremetal/v1/nodes?limit=1000000000").status_code in (200, 400)


@pytest.mark.parametrize(
    "value",
    ["x" * 5000, "\0", "' OR 1=1 --", "%", "_", "(a+)+$", "a" * 5000 + "!", "../../etc/passwd", "\u212a", "null"],
)
def test_filters_and_markers(faces, value):
    """A filter finds what is equal and nothing else; what is not the form of a value is refused."""
    began = time.process_time()
    for path in LISTS:
        for name in ("marker", "name", "sort_key", "owner", "fields", "instance_uuid"):
            answer = faces("GET", path, query_string={name: value})
            assert answer.status_code in (200, 400, 404), (path, name, answer.status_code)
            if answer.status_code >= 400:
                sentence(answer)
            elif name == "name" and path.startswith(("/image", "/identity")):
                assert not next(rows for rows in answer.get_json().values() if isinstance(rows, list))
    assert time.process_time() - began < 5


IDS = ("..", "%2e%2e", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "%00", "a%00b", "x" * 3000, "%ff", "%0d%0aSet-Cookie:x=1", "*",
       "'--", ";a=b", "%F0%9F%92%A3", "\u24b6".encode().hex(), "-1", "1e308", "{}", "$(id)")  # fmt: skip


@pytest.mark.parametrize("ident", IDS)
def test_ids(faces, ident):
    before = faces.stored()
    for path in ("/baremetal/v1/nodes/{}", "/baremetal/v1/ports/{}", "/baremetal/v1/drivers/{}", "/image/v2/images/{}",
                 "/image/v2/images/{}/file", "/image/v2/schemas/{}", "/identity/v3/users/{}",
                 "/identity/v3/regions/{}"):  # fmt: skip
        answer = faces("GET", path.format(ident))
        refused(faces, answer, 400, 404)
        assert "Set-Cookie" not in answer.headers
        assert "root:" not in answer.get_data(as_text=True)
    assert faces.stored() == before


def test_methods(faces):
    """Every path says which methods it has; the others are refused, and none is done by accident."""
    before = faces.stored()
    for path in {re.sub(r"<[^>]+>", "x", str(rule)) for rule in faces.app.url_map.iter_rules()}:
        if path.startswith("/v1"):
            continue
        for method in ("TRACE", "PROPFIND", "GETT"):
            answer = faces(method, path)
            refused(faces, answer, 405)
            assert answer.headers["Allow"]
    assert faces.stored() == before


def test_head_and_options(faces):
    for path in LISTS:
        head = faces("HEAD", path)
        assert (head.status_code, head.data) == (200, b"")
        assert faces("HEAD", path, token=None).status_code == 401
        answer = faces("OPTIONS", path)
        assert answer.status_code in (200, 204, 405)
        assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("path", ["/baremetal//v1/nodes", "/baremetal/v1/nodes;x=1",
                                  "/baremetal/V1/nodes", "/identity/v3/users//", "/image/v3/images",
                                  "/console", "/baremetal/v1/nodes/../../../etc/passwd"])  # fmt: skip
def test_paths_that_are_not_there(faces, path):
    assert faces("GET", path).status_code == 404
    assert faces("GET", path, token=None).status_code == 404


BAD_TOKENS = ("", "x", "rwt_", "rwt_" + "A" * 200, "\u00e9", "a" * 60_000, "Bearer x", "null", "' OR 1=1 --")


@pytest.mark.parametrize("token", BAD_TOKENS)
def test_tokens(faces, token):
    for path in LISTS:
        refused(faces, faces("GET", path, token=token), 401)
        refused(faces, faces("GET", f"{path}?token={faces.token}&X-Auth-Token={faces.token}", token=token), 401)


def test_tokens_that_were_good(faces):
    good = faces.token
    middle = len(good) // 2
    for bad in (
        good[:-1],
        good[:middle],
        good[:middle] + ("A" if good[middle] != "A" else "B") + good[middle + 1 :],
        good * 2,
    ):
        for path in LISTS:
            answer = faces("GET", path, token=bad)
            refused(faces, answer, 401)
            assert bad not in answer.get_data(as_text=True)
            assert answer.headers["WWW-Authenticate"]


def test_links_are_made_of_our_own_address(faces):
    """Neither Host nor what proxies add moves a client elsewhere (H08, and the poisoning of caches)."""
    for token in (faces.token, "bad"):
        for face in ("/baremetal/v1", "/identity/v3", "/image/versions", f"/baremetal/v1/nodes/{faces.uuid}",
                     "/image/v2/images?limit=1", "/baremetal/v1/nodes?limit=1"):  # fmt: skip
            headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "gopher",
                       "X-Forwarded-For": "evil.example", "Forwarded": "host=evil.example",
                       "X-Forwarded-Prefix": "/evil.example", "X-Script-Name": "/evil.example",
                       "Origin": "https://evil.example"}  # fmt: skip
            answer = faces("GET", face, token=token, headers=headers)
            assert answer.status_code in (200, 300, 401), face
            assert "evil.example" not in answer.get_data(as_text=True) + str(answer.headers)
            assert "Access-Control-Allow-Origin" not in answer.headers


PATCHES = [
    [{"op": "add", "path": "/extra/a", "value": 1}] * 101,
    [{"op": "add", "path": "/extra" + "/a" * 50, "value": 1}],
    [{"op": "copy", "from": "/extra", "path": "/extra/a"}] * 30,
    [{"op": "move", "from": "/extra", "path": "/extra/a"}],
    [{"op": "test", "path": "/driver_info/password", "value": "x"}],
    [{"op": "replace", "path": "/uuid", "value": NOBODY}],
    [{"op": "remove", "path": "/driver"}],
    [{"op": "replace", "path": "/driver_info/redfish_password/-1", "value": "x"}],
    [{"op": "add", "path": "/driver_info/password", "value": "******"}],
    [{"op": "add", "path": "/traits/-1", "value": "x"}],
    [{"op": "replace", "path": "/provision_state", "value": "active"}],
    [{"op": "add", "path": "x" * 2000, "value": 1}],
    [{"op": "add", "path": "/extra/a", "value": "a\0b", "colour": 1}],
    {"op": "add"}, "x", 5, [[]], [None],
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(PATCHES)))
def test_patches(faces, number):
    before, data = faces.stored(), json.dumps(PATCHES[number])
    refused(faces, faces("PATCH", f"/baremetal/v1/nodes/{faces.uuid}", data=data), 400)
    kind = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    refused(faces, faces("PATCH", f"/image/v2/images/{faces.image}", data=data, headers=kind), 400, 403, 409, 413)
    assert faces.stored() == before


@pytest.mark.parametrize(
    "kind", ["text/xml", "application/json", "", "x" * 500, "multipart/form-data; boundary=" + "b" * 70]
)
def test_media_types_that_are_not_taken(faces, kind):
    refused(faces, faces("PATCH", f"/image/v2/images/{faces.image}", data="[]", headers={"Content-Type": kind}), 415)
    new = faces("POST", "/image/v2/images", data='{"disk_format": "raw", "container_format": "bare"}').get_json()["id"]
    path = f"/image/v2/images/{new}/file"
    refused(faces, faces("PUT", path, data=b"x", headers={"Content-Type": kind}), 415)


@pytest.mark.parametrize(
    "range_", ["bytes=" + ",".join(f"{n}-{n}" for n in range(1000)), "bytes=2000-", "bytes=-0", "bytes=5-2",
               "lines=1-2", "bytes=0-0,5-9", "bytes=" + "9" * 400 + "-", "bytes=a-b", "bytes=-"]
)  # fmt: skip
def test_ranges(faces, range_):
    answer = faces("GET", f"/image/v2/images/{faces.image}/file", headers={"Range": range_})
    refused(faces, answer, 400, 416)


@pytest.mark.parametrize("url", ["http://127.0.0.1/x", "http://[::1]/x", "http://169.254.169.254/x", "file:///etc/passwd",
                                 "http://2130706433/", "http://0x7f.1/", "http://127.1/", "http://[::ffff:7f00:1]/",
                                 "ftp://9.9.9.9/x", "data:,x", "javascript:1", "//9.9.9.9/x",
                                 "http://9.9.9.9/a\r\nHost: b",
                                 "http://a#@9.9.9.9/", "http://a\\@9.9.9.9/", "http://u:p@9.9.9.9/"])  # fmt: skip
def test_addresses_that_are_not_asked(faces, url, monkeypatch):
    from appliance.main.packing import checker
    from images.fetch import Limits

    monkeypatch.setattr(faces.appliance.images, "check_url", checker(Limits()))
    new = faces("POST", "/image/v2/images", data='{"disk_format": "raw", "container_format": "bare"}').get_json()["id"]
    body = json.dumps({"method": {"name": "web-download", "uri": url}})
    refused(faces, faces("POST", f"/image/v2/images/{new}/import", data=body), 400)


TEXTS = st.sampled_from(
    ["", "x", "n1", "default", NOBODY, "a" * 300, "\0", "\u00e9", "../x", "true", "-1", "1e308", "[]", "%"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
WORDS = (
    "name", "id", "driver", "node_uuid", "address", "target", "user", "project", "role", "domain", "auth", "identity",
    "methods", "extra", "properties", "op", "driver_info", "instance_info", "limit", "marker", "sort_key", "fields",
    "detail", "sort_dir", "visibility", "enabled", "method", "uri", "member", "path", "value", "status", "owner",
    "steps", "priority", "boot_device", "tags", "disk_format", "size_min", "created_at", "wait",
)  # fmt: skip
OBJECTS = st.dictionaries(st.sampled_from(WORDS), VALUES, max_size=6)


@pytest.mark.parametrize("face", ["identity", "baremetal", "image"])
def test_no_request_breaks_a_face(faces, face):
    """Random ids, bodies and queries for every route: 80 at each run, others each time but in a pipeline."""
    rules = sorted(
        ((method, str(rule)) for rule in faces.app.url_map.iter_rules() for method in sorted(rule.methods or ())
         if str(rule).startswith(f"/{face}") and not str(rule).endswith("/") and method != "OPTIONS"),
        key=str,
    )  # fmt: skip
    known = st.sampled_from([faces.uuid, faces.image, "n1", "default"])

    @settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def check(data):
        method, rule = data.draw(st.sampled_from(rules))
        path = re.sub(r"<[^>]+>", lambda _found: quote(data.draw(known | TEXTS), safe=""), rule)
        query = data.draw(st.dictionaries(st.sampled_from(WORDS), TEXTS, max_size=3))
        noun = rule.rstrip("/").split("/")[-1].split("<")[0].removesuffix("s") or "user"
        body = data.draw(OBJECTS | VALUES | OBJECTS.map(lambda inner: {noun: inner}) | st.lists(OBJECTS, max_size=3))
        kind = data.draw(st.sampled_from(["application/json", "application/octet-stream",
                                          "application/openstack-images-v2.1-json-patch"]))  # fmt: skip
        sent = None if method in ("GET", "HEAD") else json.dumps(body).encode()
        answer = faces(method, path, query_string=query, data=sent, headers={"Content-Type": kind})
        assert answer.status_code < 500 or answer.status_code == 503, (method, path, query, body, answer.text)
        if answer.status_code >= 400 and answer.data and answer.status_code != 401:
            sentence(answer)

    check()
