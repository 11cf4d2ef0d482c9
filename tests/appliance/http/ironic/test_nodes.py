"""/v1/nodes as clients of Bare Metal v1 see it."""

from dataclasses import replace

import pytest
from sqlalchemy.event import listen

from appliance.domain.access import Role
from appliance.http.ironic import node_fields
from appliance.http.ironic.node_fields import FIELDS, NOT_ASKABLE
from appliance.http.ironic.versions import MAXIMUM
from tests.fakes.ironic_client import fault

CANARY = "hunter2-canary"
IPMI = {"ipmi_address": "10.0.0.5", "ipmi_username": "admin", "ipmi_password": CANARY, "ipmi_port": "6230"}


def make(ironic, **more):
    answer = ironic.post("/v1/nodes", {"driver": "fake-hardware", **more})
    assert answer.status_code == 201, answer.get_data(as_text=True)
    return answer.get_json()


def test_a_node_is_created_shown_changed_and_deleted(ironic):
    made = ironic.post("/v1/nodes", {"driver": "fake-hardware", "name": "n1.Rack_2", "extra": {"a": 1}})
    node = made.get_json()
    assert made.status_code == 201
    assert made.headers["Location"].endswith(f"/baremetal/v1/nodes/{node['uuid']}")
    assert (node["provision_state"], node["power_state"], node["driver"]) == ("enroll", None, "fake-hardware")
    for ident in ("n1.Rack_2", node["uuid"], node["uuid"].upper()):
        assert ironic.get(f"/v1/nodes/{ident}").get_json() == node
    patched = ironic.patch("/v1/nodes/n1.Rack_2", [{"op": "add", "path": "/extra/b", "value": 2}])
    assert patched.status_code == 200
    assert patched.get_json()["extra"] == {"a": 1, "b": 2}
    assert ironic.delete(f"/v1/nodes/{node['uuid']}").status_code == 204
    assert ironic.get(f"/v1/nodes/{node['uuid']}").status_code == 404
    assert "could not be found" in fault(ironic.get("/v1/nodes/n1.Rack_2"))["faultstring"]


def test_a_node_shows_all_attributes_of_its_version(ironic):
    node = make(ironic)
    assert set(node) == set(FIELDS.since)
    assert len(node) == len(FIELDS.since)
    assert node["deploy_interface"] == "fake"
    assert node["links"][0]["href"].endswith(f"/baremetal/v1/nodes/{node['uuid']}")
    assert node["links"][1]["href"].endswith(f"/baremetal/nodes/{node['uuid']}")
    assert node["ports"][0]["href"].endswith("/ports")
    assert node["created_at"].endswith("+00:00")


VISIBLE = {
    1: 29, 2: 29, 3: 30, 5: 31, 6: 33, 7: 34, 11: 34, 12: 36, 14: 37, 20: 38, 21: 39, 23: 40, 31: 48, 32: 49, 33: 50,
    37: 51, 38: 52, 40: 53, 42: 54, 44: 55, 46: 56, 47: 57, 48: 59, 49: 60, 50: 61, 51: 62, 52: 63, 61: 65, 65: 66,
    66: 67, 75: 69, 82: 70, 83: 71, 86: 72, 87: 73, 95: 74, 104: 75, 109: 76, MAXIMUM: 76,
}  # fmt: skip


@pytest.mark.parametrize("minor", sorted(VISIBLE))
def test_attributes_appear_with_the_version_that_brought_them(ironic, minor):
    uuid = make(ironic, name="n1")["uuid"]
    shown = ironic.get(f"/v1/nodes/{uuid}", version=f"1.{minor}").get_json()
    assert set(shown) == {name for name, since in FIELDS.since.items() if since <= minor}


@pytest.mark.parametrize("attribute", sorted(set(FIELDS.since) - NOT_ASKABLE))
def test_each_attribute_can_be_asked_for_alone_and_not_before_its_version(ironic, attribute):
    node = make(ironic, name="n1")
    shown = ironic.get(f"/v1/nodes/{node['uuid']}?fields={attribute}").get_json()
    assert set(shown) == {attribute, "links"}
    assert shown[attribute] == node[attribute]
    since = FIELDS.since[attribute]
    if since > 8:
        assert ironic.get(f"/v1/nodes?fields={attribute}", version=f"1.{since - 1}").status_code == 406
    listed = ironic.get(f"/v1/nodes?fields={attribute}", version=f"1.{max(since, 8)}")
    assert listed.status_code == 200
    assert set(listed.get_json()["nodes"][0]) == {attribute, "links"}


@pytest.mark.parametrize("wanted", ["colour", "ports", "*", ""])
def test_fields_that_there_are_not_are_refused(ironic, wanted):
    assert ironic.get(f"/v1/nodes?fields={wanted}").status_code == 400


def test_the_bmc_password_is_in_no_answer_and_its_mask_is_never_stored(ironic, appliance):
    body = {"driver": "ipmi", "name": "m1", "driver_info": {**IPMI, "deploy_kernel": "http://k", "x_token": CANARY}}
    body["instance_info"] = {"image_source": "debian", "admin_pass": CANARY}
    made = ironic.post("/v1/nodes", body)
    info = made.get_json()["driver_info"]
    assert info == {
        "ipmi_address": "10.0.0.5", "ipmi_username": "admin", "ipmi_password": "******", "ipmi_port": 6230,
        "deploy_kernel": "http://k", "x_token": "******",
    }  # fmt: skip
    sealed = stored(appliance, "m1").bmc_secret
    back = ironic.patch("/v1/nodes/m1", [{"op": "replace", "path": "/driver_info", "value": {**info, "new": 1}}])
    assert back.get_json()["driver_info"] == info | {"new": 1}
    assert stored(appliance, "m1").bmc_secret == sealed
    answers = [made, back, ironic.get("/v1/nodes/detail"), ironic.post("/v1/nodes", body)]
    for path in ("ipmi_password", "x_token"):
        answers.append(ironic.patch("/v1/nodes/m1", [{"op": "remove", "path": f"/driver_info/{path}"}]))
        assert path not in answers[-1].get_json()["driver_info"]
        answers.append(ironic.patch("/v1/nodes/m1", [{"op": "add", "path": f"/driver_info/{path}", "value": "******"}]))
        assert answers[-1].status_code == 400
    assert stored(appliance, "m1").bmc_secret is None
    assert not any(CANARY in answer.get_data(as_text=True) for answer in answers)
    assert CANARY not in str(vars(stored(appliance, "m1")))


def stored(appliance, name):
    from appliance.services import nodes

    with appliance.database.read() as session:
        return nodes.fetch(session, name)


def test_a_stored_password_does_not_follow_the_bmc_to_another_address(ironic):
    make(ironic, driver="ipmi", name="m1", driver_info=IPMI)
    moved = ironic.patch("/v1/nodes/m1", [{"op": "replace", "path": "/driver_info/ipmi_address", "value": "10.0.0.6"}])
    assert moved.status_code == 400
    both = [
        {"op": "replace", "path": "/driver_info/ipmi_address", "value": "10.0.0.6"},
        {"op": "replace", "path": "/driver_info/ipmi_password", "value": "other"},
    ]
    assert ironic.patch("/v1/nodes/m1", both).status_code == 200


@pytest.mark.parametrize("name", ["", "a b", "a/b", 5, [], "123e4567-e89b-42d3-a456-426614174000"])
def test_a_name_that_cannot_be_is_named(ironic, name):
    """In the field's words, which differ for a node that there is."""
    node = ironic.post("/v1/nodes", {"driver": "fake-hardware", "name": "n1"}).get_json()["uuid"]
    made = ironic.post("/v1/nodes", {"driver": "fake-hardware", "name": name})
    renamed = ironic.patch("/v1/nodes/n1", [{"op": "replace", "path": "/name", "value": name}])
    assert (made.status_code, renamed.status_code) == (400, 400)
    assert f"Cannot create node with invalid name '{name}'" in made.text
    assert f"Node {node}: Cannot change name to invalid name '{name}'" in renamed.text


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"driver": "no-such"},
        {"driver": "fake"},
        {"driver": 7},
        {"driver": "fake-hardware", "colour": "red"},
        {"driver": "fake-hardware", "name": "a b"},
        {"driver": "fake-hardware", "name": "detail"},
        {"driver": "fake-hardware", "name": "x" * 256},
        {"driver": "fake-hardware", "name": "123e4567-e89b-42d3-a456-426614174000"},
        {"driver": "fake-hardware", "uuid": "not-a-uuid"},
        {"driver": "fake-hardware", "extra": []},
        {"driver": "fake-hardware", "properties": "x"},
        {"driver": "fake-hardware", "description": "x" * 4097},
        {"driver": "fake-hardware", "resource_class": "x" * 81},
        {"driver": "fake-hardware", "automated_clean": "perhaps"},
        {"driver": "fake-hardware", "chassis_uuid": "123e4567-e89b-42d3-a456-426614174000"},
        {"driver": "fake-hardware", "parent_node": "nobody"},
        {"driver": "fake-hardware", "conductor_group": "a b"},
        {"driver": "fake-hardware", "network_data": {"colour": []}},
        {"driver": "fake-hardware", "deploy_interface": "ansible"},
        {"driver": "fake-hardware", "console_enabled": True},
        {"driver": "fake-hardware", "protected": True},
        {"driver": "fake-hardware", "provision_state": "active"},
        {"driver": "fake-hardware", "driver_info": {"deploy_interface": "fake"}},
        {"driver": "ipmi", "driver_info": {"ipmi_address": "bmc.example"}},
        {"driver": "ipmi", "driver_info": {"ipmi_port": 70000}},
        {"driver": "ipmi", "driver_info": {"ipmi_bridging": "dual"}},
        {"driver": "ipmi", "driver_info": {"ipmi_cipher_suite": 0}},
        {"driver": "ipmi", "driver_info": {"ipmi_password": "******"}},
        {"driver": "ipmi", "raid_interface": "agent"},
    ],
)
def test_what_cannot_be_a_node_is_refused_and_nothing_is_kept(ironic, body):
    answer = ironic.post("/v1/nodes", body)
    assert answer.status_code == 400, answer.get_data(as_text=True)
    assert fault(answer)["faultcode"] == "Client"
    assert ironic.get("/v1/nodes").get_json()["nodes"] == []


def test_an_unknown_driver_is_refused_in_the_words_of_the_field(ironic):
    assert fault(ironic.post("/v1/nodes", {"driver": "x"}))["faultstring"].startswith("No valid host was found")


@pytest.mark.parametrize(
    ("body", "status"), [(b"{", 400), (b"[]", 400), (b"[" * 100_000, 400), (b"x" * ((1 << 20) + 1), 413)]
)
def test_a_hostile_body_is_refused(ironic, body, status):
    assert ironic("POST", "/v1/nodes", data=body).status_code == status


def test_ids_that_are_taken_are_conflicts(ironic):
    uuid, instance = "123e4567-e89b-42d3-a456-426614174000", "123e4567-e89b-42d3-a456-426614174001"
    make(ironic, name="n1", uuid=uuid, instance_uuid=instance)
    for taken in ({"name": "n1"}, {"uuid": uuid}, {"instance_uuid": instance}):
        answer = ironic.post("/v1/nodes", {"driver": "fake-hardware", **taken})
        assert answer.status_code == 409, taken
    make(ironic, name="n2")
    for path, value in (("/name", "n1"), ("/instance_uuid", instance)):
        assert ironic.patch("/v1/nodes/n2", [{"op": "add", "path": path, "value": value}]).status_code == 409


def test_the_oldest_versions(ironic):
    assert ironic.post("/v1/nodes", {"driver": "fake-hardware", "name": "n"}, version="1.1").status_code == 406
    old = ironic.post("/v1/nodes", {"driver": "fake-hardware"}, version="1.1").get_json()
    assert old["provision_state"] is None
    assert ironic.get(f"/v1/nodes/{old['uuid']}", version="1.2").get_json()["provision_state"] == "available"
    make(ironic, name="n1")
    assert ironic.get("/v1/nodes/n1", version="1.4").status_code == 404
    assert ironic.get("/v1/nodes?provision_state=enroll", version="1.8").status_code == 406


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "abcd"),
        ("provision_state=enroll", "abcd"),
        ("provision_state=active", ""),
        ("driver=ipmi", "b"),
        ("driver=nobody", ""),
        ("resource_class=gold", "a"),
        ("owner=p1", "b"),
        ("lessee=p1", "c"),
        ("project=p1", "bc"),
        ("shard=s1,s2", "ab"),
        ("sharded=true", "ab"),
        ("sharded=false", "cd"),
        ("associated=true", "c"),
        ("associated=false", "abd"),
        ("instance_uuid=123e4567-e89b-42d3-a456-426614174001", "c"),
        ("maintenance=true", "d"),
        ("retired=true", "d"),
        ("description_contains=50%25", "d"),
        ("description_contains=nothing", ""),
        ("conductor_group=g1", "d"),
        ("conductor=nobody", ""),
        (f"conductor={node_fields.HOST}", "abcd"),
        ("instance_name=vm", "c"),
        ("include_children=true", "abcde"),
        ("fault=power%20failure", ""),
        ("sort_key=name&sort_dir=desc", "dcba"),
        ("sort_key=shard", "cdab"),
        ("sort_key=shard&sort_dir=desc", "badc"),
        ("limit=2", "ab"),
        ("detail=true", "abcd"),
    ],
)
def test_what_a_list_holds(ironic, query, expected):
    make(ironic, name="a", resource_class="gold", shard="s1")
    make(ironic, name="b", driver="ipmi", owner="p1", shard="s2")
    make(ironic, name="c", lessee="p1", instance_uuid="123e4567-e89b-42d3-a456-426614174001", instance_name="vm")
    parent = make(ironic, name="d", maintenance=True, retired=True, description="at 50% of it", conductor_group="G1")
    make(ironic, name="e", parent_node="d")
    answer = ironic.get(f"/v1/nodes?{query}")
    assert "".join(node["name"] for node in answer.get_json()["nodes"]) == expected
    for ident, children in (
        (parent["uuid"], ["e"]),
        (parent["uuid"].upper(), ["e"]),
        ("d", ["e"]),
        ("a", []),
        ("x", []),
    ):
        by_parent = ironic.get(f"/v1/nodes?parent_node={ident}").get_json()["nodes"]
        assert [node["name"] for node in by_parent] == children


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=abc", "sort_key=driver_info", "sort_key=x", "sort_dir=up", "maintenance=perhaps", "colour=red",
     "provision_state=x", "fault=x", "instance_uuid=x", "marker=x", "detail=true&fields=uuid"],
)  # fmt: skip
def test_a_bad_query_is_named(ironic, query):
    assert ironic.get(f"/v1/nodes?{query}").status_code == 400


@pytest.mark.parametrize("query", ["limit=2", "limit=2&sort_key=shard", "limit=2&sort_key=shard&sort_dir=desc",
                                   "limit=2&sort_key=created_at"])  # fmt: skip
def test_pages_follow_one_another_whatever_the_order(ironic, query):
    for number, shard in enumerate(["x", None, "y", "x", None]):
        make(ironic, name=f"n{number}", shard=shard)
    seen, url = [], f"/v1/nodes?{query}"
    while url:
        page = ironic.get(url).get_json()
        seen += [node["name"] for node in page["nodes"]]
        url = page["next"].partition("/baremetal")[2] if "next" in page else None
    assert sorted(seen) == [f"n{number}" for number in range(5)]
    whole = ironic.get(f"/v1/nodes?{query}".replace("limit=2", "limit=9")).get_json()["nodes"]
    assert [node["name"] for node in whole] == seen


def test_a_list_costs_two_queries_however_many_there_are(appliance, ironic):
    """One for how large they are, and one for them; of what is never large, that one alone."""
    for number in range(5):
        make(ironic, name=f"n{number}")
    ironic.get("/v1/nodes/detail")
    statements = []
    listen(appliance.database.engine, "before_cursor_execute", lambda *said: statements.append(said[2]))
    assert len(ironic.get("/v1/nodes/detail").get_json()["nodes"]) == 5
    assert len([text for text in statements if text.startswith("SELECT")]) == 2
    statements.clear()
    assert len(ironic.get("/v1/nodes").get_json()["nodes"]) == 5
    assert len([text for text in statements if text.startswith("SELECT")]) == 1


@pytest.fixture
def projects(app, client_for, appliance, monkeypatch):
    """A client for a role on a project."""
    from appliance.domain.access import Actor

    known = {}
    honest = appliance.tokens.find
    template = honest(appliance.token())
    monkeypatch.setattr(appliance.tokens, "find", lambda token: known.get(token) or honest(token))

    def client(role, project):
        token = f"{role}-{project}"
        actor = Actor(name=token, role=Role(role), user_id=1, is_system=False, project_id=project)
        known[token] = replace(template, actor=actor)
        return client_for(token)

    return client


def test_what_a_project_does_not_own_is_not_there(ironic, projects):
    mine, lent = make(ironic, name="mine", owner="p1"), make(ironic, name="lent", lessee="p1", owner="p2")
    hidden = make(ironic, name="hidden", owner="p2")
    member = projects("member", "p1")
    assert [node["name"] for node in member.get("/v1/nodes").get_json()["nodes"]] == ["mine", "lent"]
    assert member.get(f"/v1/nodes/{mine['uuid']}").status_code == 200
    unseen, gone = member.get(f"/v1/nodes/{hidden['uuid']}"), member.get("/v1/nodes/gone")
    assert (unseen.status_code, gone.status_code) == (404, 404)
    assert member.get(f"/v1/nodes?marker={hidden['uuid']}").status_code == 404
    for answer in (
        member.patch("/v1/nodes/hidden", [{"op": "add", "path": "/extra/a", "value": 1}]),
        member.delete("/v1/nodes/hidden"),
    ):
        assert answer.status_code == 404
    assert member.delete("/v1/nodes/mine").status_code == 403
    assert member.delete("/v1/nodes/lent").status_code == 403
    assert projects("reader", "p1").patch("/v1/nodes/mine", []).status_code == 403
    assert "Redacted" in member.get(f"/v1/nodes/{lent['uuid']}").get_json()["driver_info"]["content"]
    assert member.get(f"/v1/nodes/{mine['uuid']}").get_json()["driver_info"] == {}
    assert projects("admin", "p1").delete("/v1/nodes/mine").status_code == 204


@pytest.mark.parametrize(
    ("path", "value", "lowest"),
    [("/extra/a", 1, "member"), ("/name", "x", "member"), ("/lessee", "p3", "member"), ("/owner", "p1", None),
     ("/shard", "s", None), ("/chassis_uuid", None, None), ("/deploy_interface", "direct", "manager"),
     ("/automated_clean", False, None), ("/automated_clean", True, "member"), ("/driver_info/a", 1, "member")],
)  # fmt: skip
def test_who_may_change_what_on_a_node_of_their_own(ironic, projects, path, value, lowest):
    make(ironic, name="mine", owner="p1")
    roles = ["reader", "member", "manager", "admin"]
    for role in roles:
        answer = projects(role, "p1").patch("/v1/nodes/mine", [{"op": "add", "path": path, "value": value}])
        may = lowest is not None and roles.index(role) >= roles.index(lowest)
        assert answer.status_code == (200 if may else 403), role
        if may:
            break


def test_an_administrator_of_a_project_creates_nodes_for_it_alone(projects):
    admin, member = projects("admin", "p1"), projects("member", "p1")
    assert make(admin, name="n1")["owner"] == "p1"
    assert admin.post("/v1/nodes", {"driver": "fake-hardware", "owner": "p2"}).status_code == 400
    assert member.post("/v1/nodes", {"driver": "fake-hardware"}).status_code == 403


def test_a_project_hangs_no_node_on_what_it_does_not_own(ironic, projects):
    """Nor does it learn by a name which UUID that has, or whether there is such a node."""
    make(ironic, name="hidden", owner="p2"), make(ironic, name="lent", owner="p2", lessee="p1")
    admin = projects("admin", "p1")
    said = set()
    for parent in ("hidden", "lent", "nobody"):
        refused = admin.post("/v1/nodes", {"driver": "fake-hardware", "parent_node": parent})
        assert refused.status_code == 400
        said.add(fault(refused)["faultstring"].replace(parent, "X"))
    assert len(said) == 1
    mine = make(admin, name="mine")
    assert make(admin, name="child", parent_node="mine")["parent_node"] == mine["uuid"]


@pytest.mark.parametrize(
    "info",
    [{"ipmi_address": "127.0.0.1"}, {"ipmi_address": "169.254.169.254"}, {"ipmi_address": "::ffff:127.0.0.1"},
     {"redfish_address": "https://[::1]:8443"}, {"redfish_address": "https://[fe80::1]"}],
)  # fmt: skip
def test_a_project_sends_the_appliance_neither_to_itself_nor_to_its_link(ironic, projects, info):
    driver = next(iter(info)).partition("_")[0]
    admin = projects("admin", "p1")
    refused = admin.post("/v1/nodes", {"driver": driver, "driver_info": info})
    assert (refused.status_code, "an administrator may name it" in fault(refused)["faultstring"]) == (400, True)
    make(ironic, name="own", driver=driver, owner="p1", driver_info=info)
    kept = admin.patch("/v1/nodes/own", [{"op": "add", "path": "/extra/a", "value": 1}])
    assert kept.status_code == 200
    moved = [{"op": "add", "path": f"/driver_info/{driver}_address", "value": "127.0.0.9"}]
    assert admin.patch("/v1/nodes/own", moved).status_code == 400


def test_a_change_of_a_version_that_is_gone_is_refused(ironic):
    make(ironic, name="n1")
    seen = ironic.get("/v1/nodes/n1").headers["ETag"]
    body = [{"op": "add", "path": "/extra/a", "value": 1}]
    assert ironic.patch("/v1/nodes/n1", body, headers={"If-Match": seen}).status_code == 200
    assert ironic.patch("/v1/nodes/n1", body, headers={"If-Match": seen}).status_code == 412
    assert ironic.delete("/v1/nodes/n1", headers={"If-Match": seen}).status_code == 412


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ([{"op": "replace", "path": "/uuid", "value": "x"}], 400),
        ([{"op": "replace", "path": "/provision_state", "value": "active"}], 400),
        ([{"op": "add", "path": "/traits", "value": []}], 400),
        ([{"op": "remove", "path": "/driver"}], 400),
        ([{"op": "replace", "path": "/driver", "value": "x"}], 400),
        ([{"op": "replace", "path": "/driver_info", "value": "x"}], 400),
        ([{"op": "add", "path": "/deploy_interface", "value": "ansible"}], 400),
        ([{"op": "add", "path": "/protected", "value": True}], 409),
        ([{"op": "add", "path": "/protected_reason", "value": "x"}], 400),
        ([{"op": "add", "path": "/retired_reason", "value": "x"}], 400),
        ([{"op": "add", "path": "/parent_node", "value": "n1"}], 400),
        ({"op": "add"}, 400),
    ],
)
def test_what_a_patch_may_not_do(ironic, body, status):
    before = make(ironic, name="n1")
    assert ironic.patch("/v1/nodes/n1", body).status_code == status
    assert ironic.get("/v1/nodes/n1").get_json() == before


@pytest.mark.parametrize(
    ("path", "value", "shown"),
    [
        ("/name", "other", "other"),
        ("/name", None, None),
        ("/description", "text", "text"),
        ("/owner", "p", "p"),
        ("/lessee", "p", "p"),
        ("/shard", "s", "s"),
        ("/conductor_group", "G", "g"),
        ("/resource_class", "gold", "gold"),
        ("/automated_clean", "false", False),
        ("/retired", "true", True),
        ("/disable_power_off", True, True),
        ("/maintenance", True, True),
        ("/network_data", {"links": []}, {"links": []}),
        ("/instance_info", {"image_source": "x"}, {"image_source": "x"}),
        ("/instance_name", "vm", "vm"),
        ("/network_interface", "flat", "flat"),
        ("/deploy_interface", "direct", "direct"),
        ("/properties", {"capabilities": "boot_mode:uefi"}, {"capabilities": "boot_mode:uefi"}),
        ("/extra", None, {}),
    ],
)
def test_what_a_patch_may_do(ironic, path, value, shown):
    uuid = make(ironic, name="n1")["uuid"]
    answer = ironic.patch(f"/v1/nodes/{uuid}", [{"op": "add", "path": path, "value": value}])
    assert answer.status_code == 200, answer.get_data(as_text=True)
    assert answer.get_json()[path[1:]] == shown
    removed = ironic.patch(f"/v1/nodes/{uuid}", [{"op": "remove", "path": path}])
    assert removed.status_code == 200, removed.get_data(as_text=True)
    assert ironic.get(f"/v1/nodes/{uuid}").get_json() == removed.get_json()


def test_another_driver_needs_its_own_ways(ironic):
    make(ironic, name="n1", driver="ipmi", driver_info=IPMI)
    change = [{"op": "replace", "path": "/driver", "value": "fake-hardware"}]
    assert ironic.patch("/v1/nodes/n1", change).status_code == 400
    answer = ironic.patch("/v1/nodes/n1?reset_interfaces=true", change)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    assert (answer.get_json()["driver"], answer.get_json()["power_interface"]) == ("fake-hardware", "fake")
    assert "ipmi_password" not in answer.get_json()["driver_info"]
    lone = [{"op": "add", "path": "/extra/a", "value": 1}]
    assert ironic.patch("/v1/nodes/n1?reset_interfaces=true", lone).status_code == 400


def test_a_node_with_an_instance_is_not_deleted_unless_in_maintenance(ironic):
    make(ironic, name="n1", instance_uuid="123e4567-e89b-42d3-a456-426614174001")
    refused = ironic.delete("/v1/nodes/n1")
    assert refused.status_code == 409
    ironic.patch("/v1/nodes/n1", [{"op": "replace", "path": "/maintenance", "value": True}])
    assert ironic.delete("/v1/nodes/n1").status_code == 204
