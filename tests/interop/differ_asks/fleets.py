"""Lists of nodes: what they show, order, pages, filters."""

from collections.abc import Iterator

from tests.interop.differ_asks.common import ABSENT, VERSIONS, get, node, put
from tests.interop.differ_worlds import Ask

FLEET = (
    {"name": "f1", "owner": "me", "resource_class": "bm", "extra": {"n": 1}},
    {"name": "f2", "lessee": "me", "resource_class": "bm", "description": "a rack"},
    {"name": "f3", "shard": "s1", "retired": True, "retired_reason": "old"},
    {"name": "f4", "shard": "s2", "instance_uuid": "2be26c0b-03f2-4d2e-ae87-c02d7f33c123", "description": "A%_b"},
    {"name": "f5", "parent_node": "<f1>"},
    {"owner": "other", "instance_name": "web-1"},
)
SORT_KEYS = ("id", "uuid", "name", "driver", "provision_state", "power_state", "created_at", "updated_at", "owner",
             "resource_class", "instance_uuid", "maintenance", "conductor_group", "shard", "extra", "properties",
             "driver_info", "traits", "x", "links", "chassis_uuid", "reservation", "conductor", "allocation_uuid",
             "description", "fault", "instance_name", "deploy_interface", "health", "")  # fmt: skip
FILTERS = (
    "associated=true",
    "associated=false",
    "associated=x",
    "maintenance=true",
    "maintenance=false",
    "maintenance=x",
    "provision_state=enroll",
    "provision_state=available",
    "provision_state=x",
    "provision_state=",
    "driver=fake-hardware",
    "driver=x",
    "driver=fake",
    "resource_class=bm",
    "resource_class=",
    "fault=power failure",
    "fault=x",
    "fault=",
    "conductor_group=",
    "conductor_group=x",
    "conductor=x",
    "owner=me",
    "owner=",
    "lessee=me",
    "project=me",
    "description_contains=rack",
    "description_contains=%25",
    "description_contains=_",
    "retired=true",
    "retired=false",
    "retired=x",
    "shard=s1",
    "shard=s1,s2",
    "shard=",
    "sharded=true",
    "sharded=false",
    "sharded=x",
    "include_children=true",
    "include_children=x",
    "parent_node=<f1>",
    "parent_node=f1",
    "parent_node=x",
    "instance_uuid=2be26c0b-03f2-4d2e-ae87-c02d7f33c123",
    f"instance_uuid={ABSENT}",
    "instance_uuid=x",
    f"chassis_uuid={ABSENT}",
    "chassis_uuid=x",
    "instance_name=web-1",
    "instance_name=x",
    "x=1",
    "name=f1",
    "associated=false&maintenance=true",
    "owner=me&resource_class=bm",
)
PAGES = (
    "limit=2",
    "limit=0",
    "limit=-1",
    "limit=x",
    "limit=",
    "limit=1.5",
    "limit=99999",
    "limit=2&marker=<f2>",
    "marker=f2",
    f"marker={ABSENT}",
    "marker=x",
    "limit=2&sort_key=name&sort_dir=desc",
    "sort_dir=x",
    "sort_dir=desc",
    "limit=1&fields=uuid,name",
    "limit=2&owner=me",
    "limit=1&detail=true",
    "detail=true",
    "detail=false",
    "detail=x",
    "detail=true&fields=uuid",
    "fields=uuid",
    "fields=x",
    "fields=",
    "fields=uuid,name,power_state",
    "fields=ports",
    "fields=driver_info",
    "limit=2&associated=false&resource_class=bm",
    "limit=2&sort_key=owner&marker=<f1>",
    "sort_key=name&sort_dir=desc&limit=3&fields=name",
)


def steps() -> Iterator[Ask]:
    for number, body in enumerate(FLEET, 1):
        yield node(f"f{number}", **{"uuid": f"{number}0000000-0000-4000-8000-000000000000", **body})
    yield put("/v1/nodes/<f2>/maintenance", {"reason": "r"})
    for version in VERSIONS:
        yield get("/v1/nodes", version)
        yield get("/v1/nodes/detail", version)
        for one in ("limit=2", "detail=true", "fields=uuid", "provision_state=enroll", "driver=fake-hardware",
                    "owner=me", "sort_key=owner", "sort_key=name", "shard=s1", "retired=true", "fault=x",
                    "conductor_group=x", "resource_class=bm", "lessee=me", "include_children=true"):  # fmt: skip
            yield get(f"/v1/nodes?{one}", version)
    for query in (*FILTERS, *PAGES):
        yield get(f"/v1/nodes?{query}")
        yield get(f"/v1/nodes/detail?{query}")
    for key in SORT_KEYS:
        yield get(f"/v1/nodes?sort_key={key}")
        yield get(f"/v1/nodes?sort_key={key}&sort_dir=desc&limit=3")
    yield get("/v1/shards")
    yield get("/v1/shards", "1.81")
    yield get("/v1/nodes/<f1>/children")
    yield get("/v1/nodes/f1/children")
    yield get("/v1/nodes/no-such/children")
    yield get("/v1/nodes/<f1>/children", "1.82")
