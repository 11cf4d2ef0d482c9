"""The roots, versions in each form, paths and methods that there are not, bodies that are no JSON."""

from collections.abc import Iterator

from tests.interop.differ_asks.common import VERSIONS, get, post, put
from tests.interop.differ_worlds import Ask

MALFORMED = ("latest", "Latest", "1.0", "1.999", "0.1", "2.1", "1", "1.1.1", "x", "1.x", "", "-1.5", "1.-1", "01.05",
             " 1.5 ", "1.110 ")  # fmt: skip
RESOURCES = ("nodes", "ports", "portgroups", "chassis", "drivers", "conductors", "allocations", "deploy_templates",
             "runbooks", "inspection_rules", "volume", "volume/connectors", "volume/targets", "shards", "lookup",
             "events", "heartbeat")  # fmt: skip


def steps() -> Iterator[Ask]:
    for version in (None, *VERSIONS, *MALFORMED):
        yield get("/", version)
        yield get("/v1", version)
        yield get("/v1/nodes", version)
    yield get("/v1/nodes", None, headers={"OpenStack-API-Version": "baremetal 1.50"})
    yield get("/v1/nodes", None, headers={"OpenStack-API-Version": "compute 2.1"})
    yield get("/v1/nodes", "1.30", headers={"OpenStack-API-Version": "baremetal 1.50"})
    for resource in RESOURCES:
        for version in VERSIONS:
            yield get(f"/v1/{resource}", version)
        yield get(f"/v1/{resource}/")
        yield get(f"/v1/{resource}/x")
        yield get(f"/v1/{resource}/x/y/z")
        for method in ("PUT", "DELETE", "PATCH", "POST"):
            yield Ask(method=method, path=f"/v1/{resource}")
            yield Ask(method=method, path=f"/v1/{resource}", body={})
    for path in ("/v2", "/v1/colours", "/v1/nodes/x/colours", "/favicon.ico", "/v1/nodes/detail/x"):
        yield get(path)
    for raw in (b"", b"{", b"[]", b"null", b'"x"', b"5", b"\xff", b'{"driver": "fake-hardware",}', b"{} {}"):
        yield post("/v1/nodes", None, raw=raw)
        yield post("/v1/ports", None, raw=raw)
    yield post("/v1/nodes", {"driver": "x"}, headers={"Content-Type": "text/plain"})
    yield post("/v1/nodes", {"driver": "x"}, headers={"Content-Type": "application/xml"})
    yield get("/v1/nodes", headers={"Accept": "text/html"})
    yield get("/v1/nodes", headers={"Accept": "application/xml"})
    yield put("/v1/nodes/x/maintenance", None, raw=b"{")
    yield from drivers()


def drivers() -> Iterator[Ask]:
    for version in VERSIONS:
        yield get("/v1/drivers/fake-hardware", version)
        yield get("/v1/conductors?detail=true", version)
    for query in ("type=dynamic", "type=classic", "type=x", "detail=true", "detail=x", "fields=name", "fields=x",
                  "fields=name,hosts", "limit=1", "sort_key=name"):  # fmt: skip
        yield get(f"/v1/drivers?{query}")
        yield get(f"/v1/drivers/fake-hardware?{query}")
    yield get("/v1/drivers/no-such")
    for name in ("fake-hardware", "no-such"):
        yield get(f"/v1/drivers/{name}/properties")
        yield get(f"/v1/drivers/properties?driver_name={name}")
        yield get(f"/v1/drivers/{name}/raid/logical_disk_properties")
        yield get(f"/v1/drivers/{name}/raid/logical_disk_properties", "1.11")
        yield get(f"/v1/drivers/{name}/vendor_passthru/methods")
        yield get(f"/v1/drivers/{name}/vendor_passthru")
        yield get(f"/v1/drivers/{name}/vendor_passthru?method=x")
        yield post(f"/v1/drivers/{name}/vendor_passthru?method=x", {})
    for query in ("detail=true", "detail=x", "fields=hostname", "fields=x", "fields=hostname,alive", "limit=1",
                  "limit=x", "sort_key=hostname", "sort_key=x", "sort_dir=desc", "marker=x"):  # fmt: skip
        yield get(f"/v1/conductors?{query}")
    yield get("/v1/conductors/no-such")
    yield get("/v1/lookup?addresses=52:54:00:12:34:56")
    yield get("/v1/lookup?node_uuid=x")
    yield get("/v1/lookup?addresses=x")
    yield post("/v1/heartbeat/x", {"callback_url": "http://x"})
    yield post("/v1/continue_inspection", {})
